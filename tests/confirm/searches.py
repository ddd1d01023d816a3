"""Examples that several tests of this room share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.confirm.examples import evaluated, settings, study, trial
from tuner.confirm.design import confirmation
from tuner.journal.events import StudyCreated
from tuner.journal.journal import Journal
from tuner.journal.records import StudyRecord
from tuner.study import StudyConfig

SPACE = {
    "optim.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "fusion.kind": ["last", "dlfa"],
    "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
    "batch.effective_size": [32, 48],
    "seed": [0, 1, 1000],
}


BASELINE = {"optim.lr": 1e-3, "fusion.kind": "last", "batch.effective_size": 32}


def searched(tmp_path: Path, trials: list[Any] | None = None, **blocks: Any) -> StudyRecord:
    plain = {
        "storage": str(tmp_path),
        "budget": {"trials": 6, "pairs_per_trial": 800},
        "scheduler": {"kind": "asha", "min_pairs": 100},
        "trial": {"seed": 3, "precision": "fp32", "fusion.kind": "dlfa", "fusion.layer": 1},
        "space": SPACE,
        "baseline": BASELINE,
        **blocks,
    }
    made = settings("small", **plain)
    if trials is None:
        last = {"fusion.kind": "last", "batch.effective_size": 32}
        fused = {"fusion.kind": "dlfa", "fusion.layer": 2, "batch.effective_size": 48}
        trials = [
            trial(0, "", 3, evaluated({"en": 5, "de": 5}), **BASELINE),
            trial(1, "", 0, evaluated({"en": 7, "de": 6}), **{"optim.lr": 2e-3, **fused}),
            trial(2, "", 1, evaluated({"en": 8, "de": 6}), **{"optim.lr": 2e-3, **fused}),
            trial(3, "", 1000, evaluated({"en": 6, "de": 6}), **{"optim.lr": 5e-3, **last}),
            trial(4, "", 0, evaluated({"en": 8, "de": 8}), **BASELINE),  # the control once more
            trial(5, "", 0, evaluated({"en": 8, "de": 8}), state="pruned", **{"optim.lr": 3e-3}),
        ]
        precision = {"precision": "fp32"}
        trials = [
            t.model_copy(update={"config": t.config.model_copy(update=precision)}) for t in trials
        ]
        trials[1:5] = [
            t.model_copy(update={"params": {**t.params, "seed": t.config.seed}})
            for t in trials[1:5]
        ]
    return study("small", made, trials)


def made(
    tmp_path: Path, top: int = 5, seeds: tuple[int, int] = (3, 6), **blocks: Any
) -> StudyConfig:
    return confirmation(searched(tmp_path, **blocks), tmp_path / "small", top, seeds)


def begin(study: StudyConfig, search: StudyRecord) -> None:
    """Create the journal of a confirmation, and leave it."""
    journal_of(study, search).__exit__(None, None, None)


def journal_of(study: StudyConfig, search: StudyRecord) -> Journal:
    """Create the journal of a confirmation, to be written to."""
    created = StudyCreated(
        time=1.0,
        name=study.name,
        id=f"id of {study.name}",
        settings=study.model_dump(mode="json"),
        facts=search.facts,
        rungs=study.rungs,
    )
    return Journal.create(study.folder, created)
