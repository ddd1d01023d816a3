"""Helpers that several tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from upath import UPath

from tests.records import facts, settings
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord, TrialState
from tuner.run.trial_files import TrialFiles
from tuner.storage.folders import names_in
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoints, TrialProgress

RUNGS = (100, 300, 900)


BEST_FILES = ["model.safetensors", "trial.json"]


Evaluate = Callable[[int, float], Evaluation]


Make = Callable[..., TrialRecord]


@pytest.fixture(params=["local", "object store"])
def stored(request: pytest.FixtureRequest, study: StudyConfig) -> StudyConfig:
    """The study with `keep_best` 2, on a disk, or in what has what object stores have."""
    checkpoint = study.checkpoint.model_copy(update={"keep_best": 2})
    study = study.model_copy(update={"checkpoint": checkpoint})
    if request.param == "local":
        return study
    return study.model_copy(update={"storage": UPath(f"memory://{study.storage}")})


@pytest.fixture(scope="module")
def optimizer() -> torch.optim.Optimizer:
    """The first takes seconds to import what it is made of."""
    return torch.optim.AdamW([torch.zeros(1)])


@pytest.fixture
def trial_of(evaluation: Evaluate, optimizer: torch.optim.Optimizer) -> Make:
    """Makes trials, with the checkpoints that the training loop leaves at their rungs."""

    def make(
        study: StudyConfig, number: int, state: TrialState, score: float, rungs: int = 3
    ) -> TrialRecord:
        evaluations = [evaluation(rung, score) for rung in RUNGS[:rungs]]
        checkpoints = Checkpoints(study.trial_folder(number), 60.0)
        for at in evaluations:
            model = torch.nn.Linear(2, 1)
            torch.nn.init.constant_(model.weight, number + at.step / 1000)
            progress = TrialProgress(fingerprint="", micro_plan=[(0, 8)], step=at.step)
            checkpoints.save(model, optimizer, progress)
        return TrialRecord(
            number=number,
            origin="sampler",
            params={},
            config=TrialConfig(),
            budget=RUNGS[-1],
            state=state,
            evaluations=tuple(evaluations),
        )

    return make


@pytest.fixture
def trial(stored: StudyConfig, trial_of: Make) -> Make:
    return partial(trial_of, stored)


def record(*trials: TrialRecord) -> StudyRecord:
    return StudyRecord(
        name="small",
        id="1",
        created=0.0,
        settings=settings(),
        facts=facts(),
        rungs=RUNGS,
        trials=trials,
    )


def after(study: StudyConfig, *trials: TrialRecord) -> list[str]:
    """Return the complaints of a driver that finds the study so."""
    files = TrialFiles(study)
    files.study_started(record(*trials))
    return files.close()


def best(study: StudyConfig) -> list[str]:
    found = names_in(study.folder / "best")
    assert all(names_in(study.folder / "best" / name) == BEST_FILES for name in found)
    return found


def trials_in(study: StudyConfig) -> list[str]:
    return names_in(study.folder / "trials")
