"""Calibration: time a few steps to find out how fast this machine trains.

It times the training loop itself, in as many parallel processes as trials would run, because trials
that share a machine slow each other down.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import fmean
from threading import Thread
from typing import TypeVar

import torch

from tuner.interrupts import SIGNALS, as_ctrl_c
from tuner.journal.records import Evaluation
from tuner.plan.pace import Observation
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.training.evaluation import Evaluating
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Begun, Step, train

LEAST_SECONDS, LEAST_STEPS = 1.0, 3
"""The least time and steps for which a configuration is timed, after an untimed first step."""
T = TypeVar("T")

ENDLESS = 2**62
"""A budget in pairs that a calibration never reaches."""


def calibrate(
    study: StudyConfig, inputs: TrialInputs, configs: Sequence[TrialConfig], processes: int
) -> tuple[list[Observation], float]:
    """Time training steps of some configurations, and an evaluation with the first of them.

    Args:
        study: the study, whose resources are used.
        inputs: the inputs of its trials.
        configs: the configurations to time, one after another.
        processes: number of processes that measure in parallel.

    Returns:
        The observations of all processes, and the seconds of an evaluation of all dev sets.
    """
    found = side_by_side(partial(_measure, study, inputs, configs), processes)
    observations = [seen for observed, _ in found for seen in observed]
    return observations, fmean(seconds for _, seconds in found)


def side_by_side(measure: Callable[[], T], processes: int) -> list[T]:
    """Run a measurement in several processes in parallel, and return all results.

    Raises:
        KeyboardInterrupt: a signal ends this process; the measuring processes have been killed.
    """
    spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with (
        as_ctrl_c(),
        ProcessPoolExecutor(processes, mp_context=spawn, initializer=_end_with_parent) as pool,
    ):
        try:
            return [job.result() for job in [pool.submit(measure) for _ in range(processes)]]
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _end_with_parent() -> None:
    """End this process when its parent ends, and ignore signals until then.

    An orphan would wait for work forever. A Ctrl-C, which both processes receive, would end this
    one with a traceback.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(1)

    Thread(target=end, daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _measure(
    study: StudyConfig, inputs: TrialInputs, configs: Sequence[TrialConfig]
) -> tuple[list[Observation], float]:
    torch.set_num_threads(study.resources.threads)
    device = torch.device("cuda" if study.resources.gpus_per_trial > 0 else "cpu")
    observations = [_time_steps(config, inputs, device) for config in configs]
    return observations, _time_evaluation(configs[0], inputs, device)


def _time_steps(config: TrialConfig, inputs: TrialInputs, device: torch.device) -> Observation:
    """Measure the seconds per pair, from steps after the first, which is a warm-up."""
    began = time.perf_counter()
    for event in _events(config, inputs, device, ENDLESS):
        if isinstance(event, Begun):
            continue
        assert isinstance(event, Step)
        if event.step == 1:
            began = time.perf_counter()
        seconds = time.perf_counter() - began
        if event.step > LEAST_STEPS and seconds >= LEAST_SECONDS:
            pairs = event.pairs_seen - config.batch.effective_size
            return Observation(config.batch.effective_size, config.fusion.kind, seconds / pairs)
    raise AssertionError("the budget has no end")


def _time_evaluation(config: TrialConfig, inputs: TrialInputs, device: torch.device) -> float:
    """Measure the seconds of an evaluation, from as many pairs as one dev set has or more."""
    share = 1 / len(inputs.protocol.sets)
    began = time.perf_counter()
    for event in _events(config, inputs, device, 1):
        if not isinstance(event, Evaluating):
            continue
        if event.pairs_done == 0:
            began = time.perf_counter()
        seconds, done = time.perf_counter() - began, event.pairs_done / event.pairs_total
        if done == 1 or (done >= share and seconds >= LEAST_SECONDS):
            return seconds / done
    raise AssertionError("a trial ends with an evaluation")


def _events(
    config: TrialConfig, inputs: TrialInputs, device: torch.device, rung: int
) -> Iterator[Begun | Step | Evaluating | Evaluation]:
    """Yield the events of the training loop, each after the device has finished its work."""
    for event in train(config, [rung], inputs, device):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        yield event
