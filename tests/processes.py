"""Whole studies in processes of their own: started, watched, found again."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner.journal.journal import FILE, read_history
from tuner.journal.records import StudyRecord

SMOKE = Path(__file__).parents[1] / "search_spaces" / "smoke.yaml"

Command = Callable[..., "subprocess.Popen[str]"]


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and all that was printed."""
    printed, _ = process.communicate(timeout=900)
    return process.returncode, printed


def record(place: Path, name: str = "smoke") -> StudyRecord:
    """The study as its journal has it."""
    return read_history(place / "studies" / name).record()


def wait_for(
    place: Path,
    what: Callable[[StudyRecord], bool],
    process: Any,
    name: str = "smoke",
    seconds: float = 900,
) -> None:
    """Until the journal says so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if (place / "studies" / name / FILE).exists() and what(record(place, name)):
            return
        time.sleep(0.1)
    raise AssertionError("the study did not come so far")


def runs_in_mlflow(place: Path, name: str = "smoke") -> tuple[Any, list[Any]]:
    """The parent run, and its children by trial number."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place / 'studies' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tuner")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.`tuner.study` = '{name}'")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    return parent, sorted(children, key=lambda run: int(run.data.tags["tuner.trial"]))


def workers_of_trials(place: Path, title: str = r"\w*Trainable") -> list[int]:
    """Processes of trials, of the cluster whose temporary folder is in `place`.

    `title`: that Ray gives them; `Member` is a worker of a trial that has several.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:  # it has gone
            continue
        if re.match(f"ray::{title}".encode(), command) and os.fsencode(place) in environment:
            found.append(int(process.name))
    return found
