"""A small study and made-up evaluations for the driver's tests; and whole studies in processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.processes import Command
from tuner.journal.records import Evaluation
from tuner.study import StudyConfig
from tuner.study.criteria import Part
from tuner.study.file import validate_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.scores import Scores

SETTINGS: dict[str, Any] = {
    "name": "small",
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
    "budget": {"trials": 9, "pairs_per_trial": 900},
    "scheduler": {"kind": "asha", "min_pairs": 100, "reduction_factor": 3},
    "sampler": {"kind": "tpe", "seed": 3, "startup_trials": 2},
    "space": {
        "optim.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.1},
        "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
        "fusion.kind": ["last", "dlfa"],
        "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
    },
    "baseline": {"fusion.kind": "last", "mix.cross_lingual": 0.0},
}


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    """Nine trials, rungs at 100, 300 and 900 pairs, a baseline."""
    return validate_study({**SETTINGS, "storage": str(tmp_path)}, "the fixture")


@pytest.fixture
def evaluation() -> Callable[[int, float], Evaluation]:
    """An evaluation at a rung with a score."""

    def make(rung: int, score: float) -> Evaluation:
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

    return make


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder with a short name: Ray's sockets live below it, and their paths are short."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def tuner(place: Path, empty_mlflow: Path) -> Iterator[Command]:
    """Starts `tuner …` in a session of its own, with its own HOME, temporary folder and MLflow."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place / "ray")}
    (place / "ray").mkdir(exist_ok=True)
    (place / "studies").mkdir()
    shutil.copy(empty_mlflow, place / "studies")

    def start(*arguments: str, program: Sequence[str] = ("-m", "tuner")) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def objective_of(protocol: EvaluationProtocol, select: Mapping[str, Scores]) -> float:
    """Return the objective of these scores, for one whose parts are means of accuracies."""

    def mean(part: Part) -> float:
        assert part.together is None
        return fmean(select[each.name].accuracy for each in part.sets)

    return protocol.objective.value(mean)
