"""A sound study folder, made once, and copies of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from tests.examples import place, tuner  # noqa: F401 (fixtures)
from tests.robustness.studies import NAME, sound_study


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an interrupted study: some trials ended, one of them complete, one goes on."""
    return sound_study(tmp_path_factory.mktemp("sound"))


@contextmanager
def copied(sound: Path) -> Iterator[Path]:
    """A copy in a place of its own, `place/studies/small`, with the process in `place`.

    Beside it lies what nobody may touch.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder = place / "studies" / NAME
        shutil.copytree(sound, folder, symlinks=True)
        elsewhere = place / "elsewhere"
        (elsewhere / "0001" / "step-000000003").mkdir(parents=True)
        (elsewhere / "precious.txt").write_text("mine")
        (elsewhere / "0001" / "precious.txt").write_text("mine")
        with chdir(place):
            yield folder
