"""A small study to plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.study import StudyConfig
from tuner.study.file import validate_study


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    """Nine trials, rungs at 100, 300 and 900 pairs, B of 8, 16, 32 and 64, and a baseline of 32."""
    settings = {
        "name": "small",
        "storage": str(tmp_path),
        "data": {"source": "nano"},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
        "budget": {"trials": 9, "pairs_per_trial": 900},
        "scheduler": {"kind": "asha", "min_pairs": 100, "reduction_factor": 3},
        "space": {
            "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
            "seed": {"type": "int", "low": 0, "high": 2},
        },
        "baseline": {"batch.effective_size": 32},
    }
    return validate_study(settings, "the fixture")
