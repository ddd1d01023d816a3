"""The default first rung: a third of a third of a third, past the warm-up, even where it can be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import SETTINGS
from tuner.study.file import validate_study
from tuner.study.rungs import ROUNDED, default_first, rungs_from


@pytest.mark.parametrize(
    ("full", "eta", "warmup", "largest", "expected"),
    [
        (27_000, 3, 0.0, 1, (1_000, 3_000, 9_000, 27_000)),
        (32_000, 2, 0.0, 1, (1_000, 2_000, 4_000, 8_000, 16_000, 32_000)),
        (16_000, 4, 0.0, 1, (1_000, 4_000, 16_000)),
        (27_000, 3, 0.1, 1, (3_000, 9_000, 27_000)),  # 2,700 pairs of warm-up
        (27_000, 3, 0.5, 1, (27_000,)),
        (27_000, 3, 0.0, 64, (1_024, 3_072, 9_216, 27_000)),
        (27_000, 3, 0.0, 512, (1_024, 3_072, 9_216, 27_000)),
        (27_000, 3, 0.0, 700, (1_000, 3_000, 9_000, 27_000)),  # 1,400 would be far from 1,000
        (20, 3, 0.0, 1, (1, 3, 9, 20)),
    ],
)
def test_by_hand(
    full: int, eta: int, warmup: float, largest: int, expected: tuple[int, ...]
) -> None:
    assert rungs_from(default_first(full, eta, warmup, largest), eta, full) == expected


@given(
    full=st.integers(1, 10**7),
    eta=st.integers(2, 10),
    warmup=st.floats(0, 0.99),
    largest=st.integers(1, 4096),
)
def test_it_lies_past_the_warm_up_and_within_the_budget(
    full: int, eta: int, warmup: float, largest: int
) -> None:
    first = default_first(full, eta, warmup, largest)
    rungs = rungs_from(first, eta, full)
    assert list(rungs) == sorted(set(rungs)) and rungs[-1] == full
    assert warmup * full <= first <= full
    assert first <= max(1, (1 + ROUNDED) * -(-full // eta)) or warmup * full > full / eta
    assert len(rungs) <= 7


def test_a_study_takes_the_largest_warm_up_and_batch_of_its_trials() -> None:
    """Sampled, fixed or the baseline's; a rung that is given stays as it is."""

    def rungs(**changes: Any) -> tuple[int, ...]:
        whole = {**SETTINGS, "budget": {"trials": 9, "pairs_per_trial": 27_000}, "scheduler": {}}
        return validate_study({**whole, **changes}, "the test").rungs

    assert rungs() == (1_024, 3_072, 9_216, 27_000)  # B up to 64
    assert rungs(trial={"optim.warmup_ratio": 0.2})[0] == 9_000 + 24  # 9,024 is 141 x 64
    warm = {**SETTINGS["space"], "optim.warmup_ratio": [0.0, 0.06]}
    assert rungs(space=warm)[0] == 3_008
    assert rungs(baseline={"batch.effective_size": 1024})[0] == 1_024
    assert rungs(scheduler={"min_pairs": 500})[:2] == (500, 1_500)
