"""Texts in Ray's files, and programs that import Ray."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import ray

from tests.cluster.examples import SECONDS

RAY = Path(ray.__file__).parent
BINARIES = (RAY / "_raylet.so", RAY / "core" / "src" / "ray" / "raylet" / "raylet")


def in_binaries(text: str) -> bool:
    """Return whether Ray's compiled code has a text."""
    for path in BINARIES:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if whole.find(text.encode()) >= 0:
                return True
    return False


def in_python(text: str, *places: str) -> bool:
    """Return whether Ray's Python files in these places have a text."""
    paths = (path for place in places for path in sorted((RAY / place).rglob("*.py")))
    return any(text in path.read_text(encoding="utf-8") for path in paths)


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
