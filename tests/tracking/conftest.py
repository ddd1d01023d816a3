"""Empty stores of MLflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tracking.stores import Store
from tuner.tracking import background

FirstUse = tuple[Path, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def first_use(tmp_path_factory: pytest.TempPathFactory) -> FirstUse:
    """A store made by a process that stands where MLflow would find an old ./mlruns."""
    folder = tmp_path_factory.mktemp("first use")
    (folder / "mlruns" / "0").mkdir(parents=True)
    (folder / "mlruns" / "0" / "meta.yaml").write_text("name: old\n")
    code = (
        "from pathlib import Path; from tuner.tracking import Tracker, default_uri; "
        "Tracker(default_uri(Path('studies')), 'demo')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    return folder, made


@pytest.fixture
def store(first_use: FirstUse, tmp_path: Path) -> Store:
    """An empty store; making one takes MLflow seven seconds, copying it none."""
    shutil.copy(first_use[0] / "studies" / "mlflow.db", tmp_path / "mlflow.db")
    made = Store(tmp_path)
    made.statement("DELETE FROM experiment_tags")
    made.statement("DELETE FROM experiments WHERE name = 'demo'")
    return made


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that fail are tried again at once."""
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(background, "GIVE_UP", 0.2)
