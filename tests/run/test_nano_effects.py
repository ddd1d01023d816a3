"""The claims of docs/nano.md hold: the far gap, and the effects of beta and the learning rate."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tuner.run.single import train_one
from tuner.study.file import load_study

pytestmark = pytest.mark.slow

NANO = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"


def evaluation(*settings: str) -> dict[str, Any]:
    """A trial of the default at full budget, but for these settings."""
    overrides = ["scheduler.kind=none", *(f"trial.{setting}" for setting in settings)]
    found: dict[str, Any] = train_one(load_study(NANO, overrides), Console(file=io.StringIO()))
    return found["evaluation"]


def zero_shot(trial: dict[str, Any]) -> float:
    return float(trial["oracle"]["targets"]["accuracy"])


def test_far_languages_lie_below_near_ones() -> None:
    trial = evaluation()
    near, far = (trial["oracle"][name]["accuracy"] for name in ("es", "rest"))
    assert near - far >= 0.05


def test_beta_and_the_learning_rate_move_zero_shot_accuracy() -> None:
    """Differences that the table has, each at least twice its larger standard deviation."""
    none, most = (
        [zero_shot(evaluation(f"mix.cross_lingual={beta}", f"seed={seed}")) for seed in (0, 1)]
        for beta in (0.0, 0.75)
    )
    assert min(most) - max(none) > 0.05
    low, high = (zero_shot(evaluation(f"optim.lr={lr}")) for lr in (1e-4, 4e-3))
    assert low - high > 0.2
