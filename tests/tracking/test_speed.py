"""A local database writes ahead, and its file is whole whenever everything was delivered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.tracking.examples import EVERY_STATE, Store, study
from tuner.tracking import store as stores
from tuner.tracking.tracker import Tracker


def mode(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        return str(database.execute("PRAGMA journal_mode").fetchone()[0])


def test_its_file_is_whole_while_others_have_it_open(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as other:
        Tracker(store.uri, "demo").sync(study(*EVERY_STATE))
        other.execute("SELECT count(*) FROM runs").fetchone()
        copied = tmp_path / "copy.db"
        copied.write_bytes((store.folder / "mlflow.db").read_bytes())
        with closing(sqlite3.connect(copied)) as database:
            found = [d.execute("SELECT count(*) FROM runs").fetchone() for d in (other, database)]
    assert found[0] == found[1] != (0,)
    assert mode(store.folder / "mlflow.db") == "wal"


def test_on_a_shared_file_system_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is memory that processes share, which other machines do not."""
    monkeypatch.setattr(stores, "is_shared", lambda folder: True)
    monkeypatch.setattr(stores, "_client", lambda uri: sqlite3.connect(uri[10:]).close())
    stores._make_database(tmp_path / "mlflow.db")
    assert mode(tmp_path / "mlflow.db") == "delete"
