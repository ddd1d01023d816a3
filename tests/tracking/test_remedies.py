"""The remedy for a store that cannot be used fits that very reason, and it works."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.ports import free_port
from tests.tracking.stores import Store
from tuner.errors import UserError
from tuner.tracking import Tracker, default_uri, serve
from tuner.tracking.server import reason
from tuner.tracking.store import connect, reach

pytestmark = pytest.mark.integration

OTHER = re.compile(r"tracking\.uri: (sqlite:\S+)")
COMMAND = re.compile(r": ((?:cp|mv|MLFLOW_\w+=\S+ ).*)")
NEWER = "f" * 12
OLDER, NEWEST = "75868b020152", "dc11669786a5"
"""The last two revisions of MLflow 3.17."""


def said(uri: str) -> UserError:
    with pytest.raises(UserError) as raised:
        Tracker(uri, "demo")
    assert "cannot be used: " in raised.value.problem and raised.value.remedy
    return raised.value


def follow(remedy: str) -> None:
    """Type what it says."""
    commands = COMMAND.findall(remedy)
    assert commands, remedy
    for command in commands:
        subprocess.run(command, shell=True, check=True, capture_output=True)


def of_revision(store: Store, revision: str) -> None:
    store.statement(f"UPDATE alembic_version SET version_num = '{revision}'")


def test_one_of_an_older_mlflow_is_brought_up_to_date(store: Store) -> None:
    """MLflow's last change adds what is new by itself; a changed part has to be asked for."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    of_revision(store, OLDER)
    error = said(store.uri)
    assert "out-of-date database schema" in error.problem
    of_revision(store, NEWEST)
    command.downgrade(_get_alembic_config(store.uri), OLDER)
    follow(error.remedy)
    assert store.rows()["alembic_version"] == [(NEWEST,)]
    assert (store.folder / "mlflow.db.old").exists()


def test_one_of_a_newer_mlflow_is_moved_away(store: Store) -> None:
    of_revision(store, NEWER)
    error = said(store.uri)
    assert "Install the version of MLflow that made it" in error.remedy
    assert "db upgrade" not in error.remedy, "which this version cannot do"
    follow(error.remedy)
    assert not (store.folder / "mlflow.db").exists()
    reach(store.uri)


def test_the_interface_says_the_same(store: Store) -> None:
    """Not the last line of a log."""
    of_revision(store, NEWER)
    with pytest.raises(UserError, match=f"found version {NEWER}") as raised:
        serve(store.uri, store.folder, free_port(), lambda address, view: None)
    assert raised.value.remedy == said(store.uri).remedy


def test_what_is_not_a_database_is_moved_away(store: Store) -> None:
    (store.folder / "mlflow.db").write_text("this is a text, and not a short one\n" * 100)
    error = said(store.uri)
    assert "not a database" in error.problem
    follow(error.remedy)
    reach(store.uri)
    assert (store.folder / "mlflow.db.old").read_text().startswith("this is a text")


def test_a_deleted_experiment_is_restored_or_another_used(store: Store) -> None:
    Tracker(store.uri, "demo")
    store.client.delete_experiment(store.experiment().experiment_id)
    error = said(store.uri)
    assert "'demo' was deleted" in error.problem
    assert "--set tracking.experiment=" in error.remedy
    Tracker(store.uri, "another")
    follow(error.remedy)
    Tracker(store.uri, "demo")


def test_one_that_is_locked_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.tracking.store.PATIENCE", 0.1)
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        error = said(store.uri)
    assert "locked" in error.problem and "Another process is writing to it" in error.remedy
    Tracker(store.uri, "demo")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def unwritable(folder: Path) -> str:
    (folder / "mlflow.db").touch()
    (folder / "mlflow.db").chmod(0o444)
    return f"sqlite:///{folder}/mlflow.db"


def a_folder(folder: Path) -> str:
    (folder / "mlflow.db").mkdir()
    return f"sqlite:///{folder}/mlflow.db"


def below_a_file(folder: Path) -> str:
    (folder / "studies").touch()
    return f"sqlite:///{folder}/studies/mlflow.db"


def in_an_unfit_folder(folder: Path) -> str:
    (folder / "50%#").mkdir()
    os.chdir(folder / "50%#")
    return default_uri(Path("studies"))


UNUSABLE: dict[str, Callable[[Path], str]] = {
    "is not writable": unwritable,
    "unable to open database file": a_folder,
    "is not a folder": below_a_file,
    "without %, ? and # in its path": in_an_unfit_folder,
    "a folder of files": lambda folder: f"{folder}/mlruns",
    "MLflow does not support this kind": lambda folder: "redis://host/1",
    "a plain file": lambda folder: "sqlite:///:memory:",
}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others reach too; those of pytest are its user's alone."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_folder_that_may_not_be_looked_into_is_a_reason(open_folder: Path) -> None:
    (open_folder / "closed" / "inside").mkdir(parents=True)
    (open_folder / "closed").chmod(0o700)
    with as_nobody(), pytest.raises(UserError, match="is not writable"):
        reach(f"sqlite:///{open_folder}/closed/inside/mlflow.db")


@pytest.mark.parametrize("why", UNUSABLE)
def test_another_address_is_one_that_can_be_used(
    why: str, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "home").mkdir()
    (open_folder / "home").chmod(0o777)
    monkeypatch.setenv("HOME", str(open_folder / "home"))
    monkeypatch.chdir(open_folder)
    uri = UNUSABLE[why](open_folder)
    with as_nobody() if why == "is not writable" else nullcontext():
        with pytest.raises(UserError, match=re.escape(why)) as raised:
            reach(uri)
        found = OTHER.search(raised.value.remedy)
        assert found is not None, raised.value.remedy
        assert found[1] != uri
        reach(found[1])


def test_a_server_that_is_away_may_be_done_without(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be reached") as raised:
        connect(f"http://127.0.0.1:{free_port()}")
    assert "Start it" in raised.value.remedy and "null" in raised.value.remedy
    reach(default_uri(tmp_path))


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            "INFO mlflow.store: Creating tables\n"
            "Traceback (most recent call last):\n"
            '  File "x.py", line 3, in <module>\n'
            "mlflow.exceptions.MlflowException: (psycopg2.OperationalError) no such role\n"
            "2026/01/01 INFO mlflow.server: Registry store URI not provided. Using backend.\n",
            "mlflow.exceptions.MlflowException: (psycopg2.OperationalError) no such role",
        ),
        ("ERROR:    [Errno 98] address in use\nINFO:     Shutting down\n", "ERROR:    [Errno 98]"),
        ("Error: Option needs a number.\nTry mlflow server --help\n", "Error: Option needs"),
        ("Killed\n", "Killed"),
        ("\n", "it said nothing"),
    ],
)
def test_a_server_that_ended_is_quoted_where_it_says_why(log: str, told: str) -> None:
    assert reason(log).startswith(told)
