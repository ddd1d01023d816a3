"""A copy of the package that a test changes as a contributor would, and commands that run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tuner as package
from tests.examples import place, tuner  # noqa: F401 (fixtures)


class Changed:
    """The package, changed.

    Args:
        place: an empty folder, in which commands run.
    """

    def __init__(self, place: Path) -> None:  # noqa: F811 (no fixture)
        self.place = place
        self.package = place / "changed" / "tuner"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(package.__file__).parent, self.package, ignore=ignored)
        (place / "ray").mkdir(exist_ok=True)

    def insert(self, file: str, before: str, text: str) -> None:
        """Put text before the one place where a file has another text."""
        path = self.package / file
        content = path.read_text(encoding="utf-8")
        assert content.count(before) == 1, f"{file} has {before!r} {content.count(before)} times"
        path.write_text(content.replace(before, text + before), encoding="utf-8")

    def __call__(self, *arguments: str) -> str:
        """Run `tuner ARGUMENTS`, which has to succeed; what it prints."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.package.parent),
            "HOME": str(self.place),
            "RAY_TMPDIR": str(self.place / "ray"),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "tuner", *arguments],
            cwd=self.place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout


@pytest.fixture
def changed(place: Path) -> Changed:  # noqa: F811 (the fixture)
    return Changed(place)
