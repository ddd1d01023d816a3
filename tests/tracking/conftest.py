"""Empty stores of MLflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tracking.stores import Store
from tuner.tracking import background


@pytest.fixture
def store(empty_mlflow: Path, tmp_path: Path) -> Store:
    """An empty store."""
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return Store(tmp_path)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that fail are tried again at once."""
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(background, "GIVE_UP", 0.2)
