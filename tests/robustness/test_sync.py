"""MLflow, told of studies that somebody forged: it is made equal to them, or a message says why."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
