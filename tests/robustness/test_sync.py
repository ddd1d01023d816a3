"""MLflow, told of studies that somebody forged, copied or moved."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from tests.robustness.commands import examples, tree, tuner
from tests.robustness.conftest import NAME
from tests.robustness.damage import forge

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def storage(sound: Path) -> Iterator[Path]:
    """With an MLflow store that knows the sound study."""
    with tempfile.TemporaryDirectory() as name, chdir(name):
        storage = Path(name, "studies")
        shutil.copytree(sound, storage / NAME)
        assert tuner("sync", NAME).code == 0
        yield storage


@examples(25)
@given(data=st.data())
def test_forged(data: st.DataObject, storage: Path, sound: Path) -> None:
    shutil.rmtree(storage / NAME)
    shutil.copytree(sound, storage / NAME)
    forge(data, storage / NAME)
    before = tree(storage.parent, but=storage)
    study = tree(storage / NAME)
    tuner("sync", NAME)
    assert tree(storage.parent, but=storage) == before and tree(storage / NAME) == study


def test_a_report_goes_to_the_folder_that_was_copied_or_moved(
    storage: Path, sound: Path, tmp_path: Path
) -> None:
    shutil.rmtree(storage / NAME)
    shutil.copytree(sound, storage / NAME)
    original = tree(storage)
    copy = Path(shutil.copytree(storage, tmp_path / "copy"))
    assert attached(copy) == 1
    assert tree(storage) == original
    moved = copy.rename(tmp_path / "moved")
    for report in moved.glob("mlartifacts/**/report.*"):
        report.unlink()
    assert attached(moved) == 1
    assert tree(storage) == original and not copy.exists()


def attached(storage: Path) -> int:
    """Return how many pages a store has after `tuner report` says that it attached one."""
    _artifact_repos_cache.clear()  # MLflow's of this process: a command has one of its own
    said = tuner("report", NAME, "--storage", str(storage))
    assert said.code == 0 and "attached to the study's run in MLflow" in said.out, said
    return len(list(storage.glob("mlartifacts/**/report.html")))
