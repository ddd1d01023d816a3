"""The effects that a plan can detect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from tests.statistics.tables import crossed
from tuner.statistics.power import DifferenceVariance, smallest_detectable
from tuner.statistics.variance import estimate


@pytest.mark.parametrize("seeds", [3, 5, 20])
@pytest.mark.parametrize("comparisons", [1, 5])
def test_where_seeds_alone_vary_it_is_that_of_a_t_test(seeds: int, comparisons: int) -> None:
    found = smallest_detectable(DifferenceVariance(0.02**2, 0.0, 99), seeds, comparisons)
    power = TTestPower().power(found / 0.02, seeds, 0.05 / comparisons)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_it_is_found_as_often_as_said() -> None:
    rng, seeds, components, comparisons = np.random.default_rng(0), 5, 60, 3
    noise = DifferenceVariance(seeds=0.8**2 + 0.5**2, items=1.0, freedom=components - 1)
    difference = smallest_detectable(noise, seeds, comparisons)
    drawn = [crossed(rng, seeds, components, (0.8, 1.0, 0.5), difference) for _ in range(600)]
    found = np.mean([estimate(table).p < 0.05 / comparisons for table in drawn])
    assert 0.74 <= found <= 0.86


def test_more_seeds_help_until_items_are_what_is_left() -> None:
    noise = DifferenceVariance(seeds=2 * 0.01**2, items=0.1 / 800, freedom=799)
    detectable = [smallest_detectable(noise, seeds, 5) for seeds in (2, 3, 5, 10, 1000)]
    assert detectable == sorted(detectable, reverse=True)
    # 800 items of which a tenth differ: standard error 0.0112, noncentrality 2.58 + 0.84.
    assert detectable[-1] == pytest.approx(0.0112 * 3.43, rel=0.01)
    assert smallest_detectable(noise, 5, 1) < smallest_detectable(noise, 5, 2)
    four_times = DifferenceVariance(noise.seeds, noise.items / 4, 3199)
    assert smallest_detectable(four_times, 1000, 5) == pytest.approx(detectable[-1] / 2, rel=0.01)


def test_observed_noise_is_of_one_seed() -> None:
    table = crossed(np.random.default_rng(2), 5, 100, (1.0, 0.5, 0.5))
    noise = DifferenceVariance.observed(table)
    assert noise.seeds == pytest.approx(table.scores.var(ddof=1))
    assert math.sqrt(noise.seeds / 5 + noise.items) == pytest.approx(estimate(table).error)
