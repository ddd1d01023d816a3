"""The crossed variance and its interval, against other people's formulas and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

from tests.statistics.tables import crossed, tables
from tuner.errors import UserError
from tuner.statistics.items import Table, combined
from tuner.statistics.variance import Parts, estimate, parts_of


def test_by_hand() -> None:
    # Two seeds, two components of one half: scores 0.8 and 0.6, components' means 0.4 and 0.3.
    table = Table(np.array([[0.5, 0.3], [0.3, 0.3]]), np.array([0.5, 0.5]))
    parts = parts_of(table)
    # Scores deviate from 0.7 by 0.1: variance 0.02, of the mean 0.01.
    assert parts.seeds == pytest.approx(0.01)
    # Means deviate from 0.35 by 0.05, twice, over 1 - 1/2: 0.01. Interactions are 0.05 four times,
    # over 1 - 1/2, one degree of freedom, two seeds: 0.01. Nothing is left for the items.
    assert parts.items == pytest.approx(0, abs=1e-12)
    assert (parts.seed_freedom, parts.item_freedom) == (1, 1)


def test_against_statsmodels() -> None:
    rng = np.random.default_rng(0)
    seeds, components = 6, 40
    table = crossed(rng, seeds, components, (0.5, 0.5, 0.5), mean=3)
    of_seed, of_component = np.indices((seeds, components)).reshape(2, -1)
    items = (table.totals * components).ravel()
    mean = sm.OLS(items, np.ones_like(items)).fit()
    by_seed = float(cov_cluster(mean, of_seed, use_correction=False).squeeze())
    by_component = float(cov_cluster(mean, of_component, use_correction=False).squeeze())
    dummies = np.hstack([np.eye(seeds)[of_seed], np.eye(components)[of_component][:, 1:]])
    interaction = sm.OLS(items, dummies).fit().mse_resid / len(items)

    parts = parts_of(table)
    assert parts.seeds == pytest.approx(by_seed * seeds / (seeds - 1))
    assert parts.items == pytest.approx(by_component * components / (components - 1) - interaction)
    assert estimate(table).value == pytest.approx(mean.params[0])


def test_two_way_clustering_is_its_limit() -> None:
    seeds, components = 60, 80
    table = crossed(np.random.default_rng(1), seeds, components, (0.5, 0.5, 1.0))
    of_seed, of_component = np.indices((seeds, components)).reshape(2, -1)
    items = (table.totals * components).ravel()
    mean = sm.OLS(items, np.ones_like(items)).fit()
    both = cov_cluster_2groups(mean, of_seed, of_component, use_correction=False)[0]
    assert parts_of(table).error ** 2 == pytest.approx(float(both.squeeze()), rel=0.05)


def test_where_seeds_alone_vary_it_is_the_t_interval() -> None:
    scores = np.array([0.81, 0.79, 0.84, 0.80, 0.78])
    weights = np.array([0.2, 0.3, 0.5])
    found = estimate(Table(np.outer(scores - 0.79, weights), weights))
    expected = stats.ttest_1samp(scores - 0.79, 0)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.freedom == pytest.approx(4)


@pytest.mark.parametrize("seeds", [1, 5])
def test_where_items_alone_vary_it_is_the_t_interval(seeds: int) -> None:
    items = np.random.default_rng(2).normal(0.02, 0.1, 30)
    found = estimate(Table(np.tile(items / 30, (seeds, 1)), np.full(30, 1 / 30)))
    expected = stats.ttest_1samp(items, 0)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.freedom == pytest.approx(29) and found.seeds == seeds


def test_a_seed_alone_speaks_for_items_alone() -> None:
    table = crossed(np.random.default_rng(3), 5, 50, (1.0, 0.1, 0.1))
    alone = parts_of(Table(table.totals[:1], table.weights))
    assert alone.seeds == 0 and alone.seed_freedom == 0 and alone.items > 0
    assert alone.error < parts_of(table).error / 2


def test_one_component_is_refused() -> None:
    with pytest.raises(UserError, match="one component"):
        estimate(Table(np.array([[0.5], [0.6]]), np.array([1.0])))


@given(tables(), st.randoms(use_true_random=False), st.floats(-2, 2))
def test_what_does_not_matter(table: Table, random: np.random.Generator, shift: float) -> None:
    found = parts_of(table)
    assert found.seeds >= 0 and found.items >= 0
    seeds, components = table.totals.shape
    rows, columns = list(range(seeds)), list(range(components))
    random.shuffle(rows)
    random.shuffle(columns)
    moved = Table(table.totals[rows][:, columns], table.weights[columns])
    shifted = Table(table.totals + shift * table.weights, table.weights)
    for other in (moved, shifted):
        assert parts_of(other).seeds == pytest.approx(found.seeds, abs=1e-12)
        assert parts_of(other).items == pytest.approx(found.items, abs=1e-12)
    doubled = parts_of(Table(table.totals * -2, table.weights))
    assert doubled.error == pytest.approx(2 * found.error)


@given(tables())
def test_p_value_and_interval_agree(table: Table) -> None:
    for confidence in (0.9, 0.95, 0.99):
        found = estimate(table, confidence)
        if min(abs(found.low), abs(found.high)) > 1e-7:
            assert (found.p < 1 - confidence) == (found.low > 0 or found.high < 0)
        low, high = sorted((parts_of(table).seed_freedom, parts_of(table).item_freedom))
        assert low - 1e-6 <= found.freedom <= high + 1e-6


@given(tables())
def test_nothing_differs_from_itself(table: Table) -> None:
    found = estimate(table.minus(table))
    assert (found.value, found.error, found.low, found.high, found.p) == (0, 0, 0, 0, 1)


def test_rounding_is_no_difference() -> None:
    """A contrast of thirds over equal tables leaves some 1e-17, which would be 0 with certainty."""
    table = crossed(np.random.default_rng(1), 5, 40, (0.5, 0.5, 0.5), mean=3)
    equal = combined([table] * 4, [1 / 3, 1 / 3, 1 / 3, -1])
    assert np.abs(equal.totals).max() > 0
    found = estimate(equal)
    assert (found.value, found.error, found.low, found.high, found.p) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize("value", [0.01, 1e-9])
def test_a_difference_without_variance_is_certain(value: float) -> None:
    assert Parts(0.0, 0.0, 4.0, 99.0).p_value(value) == 0


@pytest.mark.parametrize(
    "deviations", [(1, 1, 0.5), (0.2, 1, 0.5), (1, 0.2, 0.5), (0, 0, 1), (1, 0, 0), (0, 1, 0)]
)
def test_coverage(deviations: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(4)
    found = [estimate(crossed(rng, 5, 60, deviations)) for _ in range(500)]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    assert 0.925 <= covered <= 0.985
