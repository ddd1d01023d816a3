"""Checkpoints and weights in a real object store, written by one process and read by another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from upath import UPath

from tests.run.examples import after, best, trials_in
from tuner.journal.records import Evaluation, TrialRecord
from tuner.storage.folders import fetched, names_in
from tuner.study import StudyConfig
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoints

pytestmark = pytest.mark.integration

WORKER = """
import sys, torch
from tuner.storage.location import located
from tuner.training.checkpoint import Checkpoints, TrialProgress
folder, *steps = sys.argv[1:]
checkpoints = Checkpoints(located(folder), 60.0)
checkpoints.latest("mine")
for step in map(int, steps):
    model = torch.nn.Linear(4000, 4000)  # 64 MB: more than one part of an upload
    torch.nn.init.constant_(model.weight, step)
    progress = TrialProgress(fingerprint="mine", micro_plan=[(0, 8)], step=step)
    checkpoints.save(model, torch.optim.SGD(model.parameters()), progress)
"""


def work(folder: UPath, *steps: int) -> None:
    """Save checkpoints, as a worker on another machine does."""
    command = [sys.executable, "-c", WORKER, str(folder), *map(str, steps)]
    subprocess.run(command, check=True)


def test_a_trial_goes_on_there_and_its_weights_stay(
    study: StudyConfig,
    bucket: UPath,
    evaluation: Callable[[int, float], Evaluation],
) -> None:
    study = study.model_copy(update={"storage": bucket})
    folder = study.trial_folder(0)
    assert isinstance(folder, UPath) and Checkpoints(folder, 60.0).latest("mine") is None
    work(folder, 12, 37)
    (folder / "step-000000037" / "manifest.json").unlink()  # the upload had broken off
    checkpoint = Checkpoints(folder, 60.0).latest("mine")
    assert checkpoint is not None and checkpoint.progress.step == 12
    assert torch.equal(checkpoint.weights["weight"], torch.full((4000, 4000), 12.0))

    work(folder, 37, 112)
    assert names_in(folder) == ["step-000000037", "step-000000112"]
    trial = TrialRecord(
        number=0,
        origin="sampler",
        params={},
        config=TrialConfig(),
        budget=900,
        state="interrupted",
        evaluations=(evaluation(900, 0.7),),
    )
    assert after(study, trial) == [] and len(names_in(folder)) == 2
    assert after(study, trial.model_copy(update={"state": "completed"})) == []
    assert best(study) == ["0000"] and trials_in(study) == []
    left = study.folder / "best" / "0000"
    assert json.loads((left / "trial.json").read_text())["score"] == 0.7
    with fetched(left, ["model.safetensors"]) as local:
        weights = load_file(local / "model.safetensors")
    assert torch.equal(weights["weight"], torch.full((4000, 4000), 112.0))
    assert not os.path.exists(local), "what was fetched is not left lying"
