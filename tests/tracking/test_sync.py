"""`tuner sync`: MLflow from a journal, whatever became of the driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.records import facts
from tests.tracking.examples import BEGAN, evaluation
from tests.tracking.stores import Store, Tally
from tuner.cli import app
from tuner.errors import UserError
from tuner.journal.events import (
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialStarted,
)
from tuner.journal.journal import Journal, read_history
from tuner.study.file import validate_study
from tuner.study.trial import TrialConfig

pytestmark = pytest.mark.integration

HOLD = """
import sys, time
from pathlib import Path
from tuner.journal.journal import Journal
with Journal(Path(sys.argv[1])):
    print("holds it", flush=True)
    time.sleep(60)
"""


def created(number: int) -> list[Event]:
    config = TrialConfig.from_flat({"optim.lr": 5e-4})
    return [
        TrialCreated(
            time=BEGAN + 1,
            number=number,
            origin="sampler",
            params={"optim.lr": 5e-4},
            config=config,
            budget=3000,
        ),
        TrialStarted(time=BEGAN + 60 * number, number=number),
        Evaluated(time=BEGAN + 2, number=number, evaluation=evaluation(number, 1000)),
    ]


def completed(number: int) -> list[Event]:
    return [
        Evaluated(time=BEGAN + 3, number=number, evaluation=evaluation(number, 3000)),
        TrialEnded(time=BEGAN + 4, number=number, state="completed"),
    ]


@pytest.fixture
def folder(store: Store) -> Path:
    """A study whose driver has gone without a word: one trial completed, one running."""
    settings: dict[str, Any] = {
        "name": "demo",
        "storage": str(store.folder),
        "data": {"source": "nano"},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": ["en", "de"], "target": ["es"]},
        "budget": {"trials": 2, "pairs_per_trial": 3000},
        "space": {"optim.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}},
        "tracking": {"experiment": "demo"},
    }
    study = validate_study(settings, "the fixture")
    assert isinstance(study.folder, Path)
    began = StudyCreated(
        time=BEGAN - 10,
        name="demo",
        id="4f0c2b",
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=(1000, 3000),
    )
    with Journal.create(study.folder, began) as journal:
        for event in (
            DriverStarted(time=BEGAN + 1),
            *created(0),
            *completed(0),
            *created(1),
        ):
            journal.append(event)
    return study.folder


@contextmanager
def driver(folder: Path) -> Iterator[int]:
    """The id of a process that holds the journal as a driver does."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds it\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def sync(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["sync", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_after_a_killed_driver_nothing_is_running(store: Store, folder: Path) -> None:
    with driver(folder) as pid:
        with pytest.raises(UserError, match="another process is working") as told:
            sync(folder)
        assert "status demo" in told.value.remedy
        assert not store.client.search_experiments(filter_string="name = 'demo'")
        os.kill(pid, signal.SIGKILL)

    assert sync(folder) == "demo is in MLflow: 3 runs created, 0 updated, 0 unchanged\n"
    parent, first, second = store.runs()
    assert [run.info.status for run in (parent, first, second)] == ["KILLED", "FINISHED", "KILLED"]
    assert parent.data.tags["tuner.state"] == "interrupted"
    assert "its driver died" in parent.data.tags["mlflow.note.content"]
    assert second.data.tags["tuner.state"] == "interrupted"


def test_any_number_of_times(store: Store, folder: Path) -> None:
    said = [json.loads(sync(folder, "--json")) for _ in range(3)]
    counts = {"name": "demo", "updated": 0, "duplicates": 0}
    assert said[0] == {**counts, "made": 3, "unchanged": 0}
    assert said[1:] == 2 * [{**counts, "made": 0, "unchanged": 3}]
    assert store.tally(read_history(folder).record()) == Tally(runs=3)

    with Journal(folder) as journal:  # a driver goes on with it, and MLflow hears nothing
        journal.append(DriverStarted(time=BEGAN + 5))
        journal.append(TrialStarted(time=BEGAN + 5, number=1))
        for event in completed(1):
            journal.append(event)
        journal.append(DriverEnded(time=BEGAN + 9, state="completed"))
    assert sync(folder) == "demo is in MLflow: 0 runs created, 2 updated, 1 unchanged\n"
    assert {run.info.status for run in store.runs()} == {"FINISHED"}
    assert store.tally(read_history(folder).record()) == Tally(runs=3)


def test_a_tree_that_was_deleted_is_made_again(store: Store, folder: Path) -> None:
    sync(folder)
    for run in store.runs():
        store.client.delete_run(run.info.run_id)
    assert "3 runs created" in sync(folder)
    assert store.tally(read_history(folder).record()) == Tally(runs=3)
