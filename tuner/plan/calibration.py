"""A few steps, measured: how fast this machine trains, where no earlier study has shown it.

The training loop itself is timed, in as many processes side by side as trials would run: trials
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
from tuner.run.prepare import Inputs
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.training.evaluation import Evaluating
from tuner.training.loop import Begun, Step, train

LEAST_SECONDS, LEAST_STEPS = 1.0, 3
"""How long a configuration is timed at least, after a first step that is not."""
T = TypeVar("T")

ENDLESS = 2**62
"""A budget in pairs that no calibration reaches."""


def calibrate(
    study: StudyConfig, inputs: Inputs, configs: Sequence[TrialConfig], processes: int
) -> tuple[list[Observation], float]:
    """Time training steps of some configurations, and an evaluation with the first of them.

    Args:
        study: its resources.
        inputs: corpus, encoder, protocol.
        configs: what is timed, one after the other.
        processes: how many measure side by side.

    Returns:
        What all processes saw, and the seconds of an evaluation of all dev sets.
    """
    found = side_by_side(partial(_measure, study, inputs, configs), processes)
    observations = [seen for observed, _ in found for seen in observed]
    return observations, fmean(seconds for _, seconds in found)


def side_by_side(measure: Callable[[], T], processes: int) -> list[T]:
    """What each of some processes measures.

    Raises:
        KeyboardInterrupt: at any signal that ends this process; those that measure have ended.
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
    """End this process where the one that started it is killed, and at no signal sooner.

    It would wait for work for ever; and a Ctrl-C that both get would end it with a traceback.
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
    study: StudyConfig, inputs: Inputs, configs: Sequence[TrialConfig]
) -> tuple[list[Observation], float]:
    torch.set_num_threads(study.resources.threads)
    device = torch.device("cuda" if study.resources.gpus_per_trial > 0 else "cpu")
    observations = [_time_steps(config, inputs, device) for config in configs]
    return observations, _time_evaluation(configs[0], inputs, device)


def _time_steps(config: TrialConfig, inputs: Inputs, device: torch.device) -> Observation:
    """Seconds of a pair, from steps after the first, which warms up."""
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


def _time_evaluation(config: TrialConfig, inputs: Inputs, device: torch.device) -> float:
    """Seconds of an evaluation, from as many pairs as one dev set has, short and long ones."""
    share = 1 / len({*inputs.protocol.select, *inputs.protocol.oracle})
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
    config: TrialConfig, inputs: Inputs, device: torch.device, rung: int
) -> Iterator[Begun | Step | Evaluating | Evaluation]:
    """What the training loop says, each time when the device is done with it."""
    parts = (inputs.protocol, inputs.corpus, inputs.encoder, device)
    for event in train(config, [rung], *parts):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        yield event
