"""Examples that several tests of this room share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tuner.data import nano
from tuner.data.corpus import Split
from tuner.journal.events import StudyCreated, TrialPlaced
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, StudyRecord
from tuner.run.prepare import Prepared
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.training.loop import train

SOURCES, TARGETS = ("en", "de"), ("es", "ja")


FILES: dict[Split, str] = {"train": "train.tsv", "dev": "dev_2k.tsv", "test": "test_2k.tsv"}


def corpus(folder: Path, turned: bool, pivots: Sequence[str] = ()) -> Path:
    """Nano's pairs in files; `turned`: wrong labels wherever nothing that chooses may look.

    The targets' pairs have ids of their own: the same pair has the same label in all languages.
    Dev of `pivots` may choose, so it is not turned.
    """
    for language in (*SOURCES, *TARGETS):
        (folder / language).mkdir(parents=True)
        for split, file in FILES.items():
            if split == "train" and language in TARGETS:
                continue
            never = language in TARGETS and language not in pivots
            wrong = turned and (split == "test" or (split == "dev" and never))
            lines = ["id\tsentence1\tsentence2\tlabel"]
            for row in nano.rows(language, split)[:400]:
                label = 1 - row.label if wrong else row.label
                id_ = f"{language}-{row.id}" if language in TARGETS else row.id
                lines.append(f"{id_}\t{row.sentence1}\t{row.sentence2}\t{label}")
            (folder / language / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def settings(folder: Path, **blocks: Any) -> dict[str, Any]:
    return {
        "name": "canary",
        "storage": str(folder / "studies"),
        "data": {"source": "directory", "path": str(folder)},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": SOURCES, "target": TARGETS},
        "budget": {"trials": 4, "pairs_per_trial": 1600},
        "scheduler": {"kind": "asha", "min_pairs": 800, "reduction_factor": 2},
        "sampler": {"kind": "tpe", "seed": 2, "startup_trials": 2},
        "trial": {"head.dropout": 0.0, "precision": "fp32"},
        "space": {
            "optim.lr": {"type": "float", "low": 1e-4, "high": 3e-3, "log": True},
            "mix.cross_lingual": [0.0, 0.5],
        },
        "baseline": {"optim.lr": 5e-4},
        **blocks,
    }


def run(study: StudyConfig, prepared: Prepared) -> StudyRecord:
    """All of a study's trials, here, one after another."""
    created = StudyCreated(
        time=time.time(),
        name=study.name,
        id="canary",
        settings=study.model_dump(mode="json"),
        facts=prepared.facts,
        rungs=study.rungs,
    )
    cpu = torch.device("cpu")
    with Journal.create(study.folder, created) as journal:
        driver = Driver(study, journal)
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            driver.note(TrialPlaced(time=time.time(), number=trial.number, nodes=("here",)))
            for event in train(trial.config, study.rungs, prepared.inputs, cpu):
                if isinstance(event, Evaluation) and not driver.evaluated(trial.number, event):
                    break
        return driver.record()
