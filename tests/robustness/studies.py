"""A sound study folder, made by the real driver with made-up evaluations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from tests.examples import SETTINGS
from tests.search.examples import create, run
from tuner.journal.events import NodeJoined, NodeLeft
from tuner.journal.records import Evaluation
from tuner.search.driver import Driver
from tuner.study.file import validate_study
from tuner.study.scores import Scores
from tuner.training.checkpoint import Checkpoints, TrialProgress

NAME = "small"


def evaluation(rung: int, score: float) -> Evaluation:
    """At a rung, with a score."""
    scores = Scores(accuracy=score, f1=score, pairs=10)
    return Evaluation(
        time=1000.0 + rung,
        rung=rung,
        pairs_seen=rung + 4,
        step=rung // 8,
        objective=score,
        select={"en": scores, "de": scores, "sources": scores},
        oracle={"ja": scores},
        train_loss=0.5,
        pairs_per_second=100.0,
        train_seconds=1.0,
        evaluation_seconds=0.1,
        peak_memory_mb=10.0,
        micro_plan=((0, 8),),
        precision="fp32",
    )


def sound_study(storage: Path) -> Path:
    """The folder of an interrupted study: some trials ended, one of them complete, one goes on."""
    settings: dict[str, Any] = {**SETTINGS, "storage": str(storage)}
    space = {"optim.lr": [1e-4, 1e-3], "seed": {"type": "int", "low": 0, "high": 9}}
    study = validate_study({**settings, "space": space, "sampler": {"kind": "random"}}, "sound")
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for node in ("here", "there"):
            driver.note(NodeJoined(time=time.time(), node=node, cpus=2, gpus=0, head=False))
        driver.note(NodeLeft(time=time.time(), node="there"))
        run(driver, study, evaluation, stop_after=15)
        trials = driver.finish(interrupted=True).trials
    unfinished = [trial.number for trial in trials if trial.state == "interrupted"]
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    for number in unfinished:
        folder = study.trial_folder(number)
        progress = TrialProgress(fingerprint="mine", micro_plan=[(0, 8)], step=3)
        Checkpoints(folder, 60.0).save(model, optimizer, progress)
    assert isinstance(study.folder, Path)
    return study.folder
