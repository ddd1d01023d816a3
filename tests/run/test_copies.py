"""A folder that was moved or copied: what its settings name follows, and whose runs are its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.examples import SETTINGS
from tests.search.examples import create
from tuner.errors import UserError
from tuner.journal.journal import read_history
from tuner.run.copies import check_own_runs
from tuner.study.file import reopened_study, validate_study
from tuner.tracking import store_of


def begun(storage: Path, uri: str | None) -> Path:
    settings = {**SETTINGS, "storage": str(storage), "tracking": {"uri": uri}}
    study = validate_study(settings, "the test")
    create(study).__exit__(None, None, None)
    assert isinstance(study.folder, Path)
    return study.folder


def store(folder: Path) -> str:
    return store_of(reopened_study(read_history(folder).record().settings, folder))


def test_a_database_in_the_storage_follows_it(tmp_path: Path) -> None:
    inside = f"sqlite:///{tmp_path}/old/kept/mine.db"
    folder = begun(tmp_path / "old", inside)
    assert store(folder) == inside
    (tmp_path / "old").rename(tmp_path / "new")
    moved = tmp_path / "new" / "small"
    assert store(moved) == f"sqlite:///{tmp_path}/new/kept/mine.db"
    record = read_history(moved).record()
    assert record.settings.storage == tmp_path / "new"
    assert record.began == str(tmp_path / "old")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "sqlite:////elsewhere/mlflow.db"])
def test_a_copy_does_not_write_into_the_originals_runs(uri: str, tmp_path: Path) -> None:
    """In a store of both. Once it was moved, or has a store of its own, there is no other."""
    original = begun(tmp_path / "old", uri)
    copy = tmp_path / "new" / "small"
    shutil.copytree(original, copy)
    check_own_runs(read_history(original).record(), original, store(original))
    record = read_history(copy).record()
    with pytest.raises(UserError, match="is a copy of the study in") as raised:
        check_own_runs(record, copy, store(copy))
    assert "--set tracking.uri=null" in raised.value.remedy
    check_own_runs(record, copy, f"sqlite:///{tmp_path}/new/mlflow.db")
    shutil.rmtree(original)
    check_own_runs(record, copy, store(copy))


@pytest.mark.parametrize(
    ("uri", "shared"),
    [("sqlite:///{}/ours.db", True), ("sqlite:///{}/old/ours.db", False), (None, False)],
)
def test_a_database_beside_a_copy_may_be_the_originals(
    uri: str | None, shared: bool, tmp_path: Path
) -> None:
    """A database beside a copy that lies above the original may belong to both."""
    original = begun(tmp_path / "old", uri and uri.format(tmp_path))
    copy = tmp_path / "small"
    shutil.copytree(original, copy)
    assert (store(copy) == store(original)) == shared
    record = read_history(copy).record()
    if not shared:
        check_own_runs(record, copy, store(copy))
        return
    with pytest.raises(UserError, match="is a copy of the study in"):
        check_own_runs(record, copy, store(copy))
