"""Studies made up for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records import facts
from tests.report.examples import CREATED, Make, evaluation
from tuner.journal.events import (
    DriverEnded,
    DriverStarted,
    Evaluated,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialStarted,
)
from tuner.journal.journal import Journal
from tuner.study.trial import TrialConfig


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(name, state, created=...)`: a study with one trial that ended and one that ran."""

    def study(name: str, state: Any = None, created: float = CREATED, score: float = 0.8) -> Path:
        settings = {
            "name": name,
            "data": {"source": "nano"},
            "languages": {"source": ["en"]},
            "space": {"optim.lr": 1e-3, "seed": {"type": "int", "low": 0, "high": 9}},
            "budget": {"trials": 3, "pairs_per_trial": 800},
            "sampler": {"kind": "tpe"},
            "storage": str(tmp_path),
        }
        found = facts(
            claim="zero-shot for ja", objective="mean dev accuracy on en", majority_accuracy=0.55
        )
        folder = tmp_path / name
        at = StudyCreated(
            time=created, name=name, id=name, settings=settings, facts=found, rungs=(800,)
        )
        with Journal.create(folder, at) as journal:
            journal.append(DriverStarted(time=created))
            for number in (0, 1):
                journal.append(
                    TrialCreated(
                        time=created + 10 * number,
                        number=number,
                        origin="sampler",
                        params={"optim.lr": 1e-3},
                        config=TrialConfig.from_flat({"optim.lr": 1e-3}),
                        budget=800,
                    )
                )
                journal.append(TrialStarted(time=created + 10, number=number))
            journal.append(Evaluated(time=created + 60, number=0, evaluation=evaluation(score)))
            journal.append(TrialEnded(time=created + 60, number=0, state="completed"))
            if state is not None:
                ended = "interrupted" if state == "interrupted" else "failed"
                journal.append(TrialEnded(time=created + 65, number=1, state=ended))
                journal.append(DriverEnded(time=created + 65, state=state, reason="so it is"))
        return folder

    return study
