"""Trials of two workers, as a study on a real Ray of its own has them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from ray import cloudpickle
from rich.console import Console

from tests.processes import SMOKE, Command, finish, record, wait_for, workers_of_trials
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.run.prepare import prepare
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.loop import train

pytestmark = pytest.mark.integration

TWO = ["--set", "resources={cpus_per_trial: 2, workers: 2}"]
MEMBER = r"Member\b"


def alone(study: StudyRecord, overrides: list[str]) -> list[list[Evaluation]]:
    """The evaluations of its trials, trained by one worker in this process."""
    settings = load_study(SMOKE, overrides)
    inputs = prepare(settings, ConsoleProgress(Console(quiet=True))).inputs
    cpu = torch.device("cpu")
    return [
        [e for e in train(t.config, settings.rungs, inputs, cpu) if isinstance(e, Evaluation)]
        for t in study.trials
    ]


def assert_alike(trial: TrialRecord, whole: list[Evaluation]) -> None:
    """But for rounding in float32, by which a pair of 100 may change sides."""
    for ours, theirs in zip(trial.evaluations, whole, strict=False):
        assert (ours.rung, ours.step, ours.workers) == (theirs.rung, theirs.step, 2)
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
        assert ours.objective == pytest.approx(theirs.objective, abs=0.01)


def test_arrays_move_to_a_node_once() -> None:
    """They are buffers of their own, which the processes of a node share in Ray's store."""
    inputs = prepare(load_study(SMOKE), ConsoleProgress(Console(quiet=True))).inputs
    arrays = [*inputs.encoder.weights.values()]
    for split in inputs.corpus.splits.values():
        arrays += [split.tokens, split.starts, split.lengths, split.clean, split.labels]
    buffers: list[Any] = []
    copied = cloudpickle.dumps(inputs, protocol=5, buffer_callback=buffers.append)
    shared = sum(memoryview(buffer).nbytes for buffer in buffers)
    assert shared >= sum(array.nbytes for array in arrays) > 50 * len(copied)


@pytest.mark.slow
def test_a_study_of_trials_with_two_workers(tuner: Command, place: Path) -> None:
    """Its scores are those of trials with one; one group of workers trains all trials."""
    settings = ["--set", "budget.trials=3"]
    process = tuner("search", str(SMOKE), *TWO, *settings)
    wait_for(place, lambda s: len(s.trials) >= 1 and len(s.trials[0].evaluations) >= 1, process)
    members = workers_of_trials(place, MEMBER)
    wait_for(place, lambda s: len(s.trials) == 3 and len(s.trials[2].evaluations) >= 1, process)
    assert sorted(workers_of_trials(place, MEMBER)) == sorted(members)
    assert len(members) == 2
    code, printed = finish(process)
    assert code == 0, printed
    assert "Traceback" not in printed and "WARNING" not in printed
    study = record(place)
    assert study.state == "completed" and not any(trial.failures for trial in study.trials)
    overrides = [settings[1]]
    for trial, whole in zip(study.trials, alone(study, overrides), strict=True):
        assert trial.evaluations
        assert_alike(trial, whole)
    (attempt,) = study.trials[0].placed
    assert len(attempt.nodes) == 2 and len(set(attempt.nodes)) == 1, "both on this machine"


@pytest.mark.slow
def test_where_a_worker_is_lost_the_trial_goes_on_from_its_checkpoint(
    tuner: Command, place: Path
) -> None:
    """A node was lost: the others are not waited for, and it is not counted. None is left."""
    settings = ["--set", "budget.pairs_per_trial=6400", "--set", "budget.trials=1"]
    process = tuner("search", str(SMOKE), *TWO, *settings)
    wait_for(place, lambda s: any(len(t.evaluations) >= 2 for t in s.trials), process)
    members = workers_of_trials(place, MEMBER)
    assert len(members) == 2
    os.kill(members[1], signal.SIGKILL)
    wait_for(place, lambda s: s.trials[0].attempts == 2, process)
    code, printed = finish(process)
    assert code == 0, printed
    (trial,) = record(place).trials
    assert trial.state == "completed" and trial.attempts == 2
    assert [(f.kind, f.reason) for f in trial.failures] == [("lost", "its worker is gone")]
    assert [e.rung for e in trial.evaluations] == [400, 800, 1600, 3200, 6400]
    (whole,) = alone(record(place), [settings[1], settings[3]])
    assert_alike(trial, whole)
    deadline = time.monotonic() + 10
    while workers_of_trials(place, ""):
        assert time.monotonic() < deadline, "a process of the trial is left"
        time.sleep(0.1)
