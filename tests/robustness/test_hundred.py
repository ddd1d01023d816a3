"""A hundred wrong inputs and surroundings: nothing breaks, hangs, or is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_a_hundred_wrong_inputs_and_surroundings(tmp_path: Path) -> None:
    """In a process of its own, which forks: this one may have threads."""
    path = tmp_path / "found.json"
    command = [sys.executable, "-m", "tests.robustness.hundred", "--json", str(path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert path.exists(), run.stdout + run.stderr
    found = json.loads(path.read_text(encoding="utf-8"))
    print(run.stdout.splitlines()[-1])
    assert sum(not ended["skipped"] for ended in found) >= 100
    assert {ended["case"]: ended["wrong"] for ended in found if ended["wrong"]} == {}
