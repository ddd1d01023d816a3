"""Comparisons with the control and with the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.statistics.tables import crossed
from tuner.statistics.comparisons import holm, with_the_best
from tuner.statistics.items import Table
from tuner.statistics.variance import estimate

WEIGHTS = np.array([0.2, 0.3, 0.5])


def of_scores(*scores: float) -> Table:
    """Seeds alone differ."""
    return Table(np.outer(scores, WEIGHTS), WEIGHTS)


def test_holm_by_hand() -> None:
    assert np.allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert holm([]).tolist() == []


@settings(max_examples=5)  # statsmodels takes 0.1 s for each
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert np.allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_two_are_a_one_sided_t_test() -> None:
    first, second = of_scores(0.80, 0.82, 0.81, 0.83), of_scores(0.78, 0.80, 0.80, 0.80)
    better, worse = with_the_best([first, second])
    tested = stats.ttest_rel(first.scores, second.scores, alternative="greater")
    bound = tested.confidence_interval(0.95).low
    assert tested.pvalue < 0.05 and bound > 0  # so one of the two is shown to be the best
    assert (better.tied, worse.tied) == (True, False)
    assert better.value == pytest.approx(0.02) and worse.value == pytest.approx(-0.02)
    assert better.low == 0 and worse.high == 0
    assert better.high == pytest.approx(0.04 - bound) and worse.low == pytest.approx(bound - 0.04)


def test_three_by_hand() -> None:
    # All differences are of 0.02, but for one that hardly varies and one that varies widely.
    tables = [of_scores(0.8, 0.8, 0.801), of_scores(0.78, 0.78, 0.78), of_scores(0.7, 0.78, 0.9)]
    first, second, third = with_the_best(tables)
    assert (first.tied, second.tied, third.tied) == (True, False, True)
    assert first.low < 0 < first.high and second.high == 0 and third.low < 0 < third.high
    # Bonferroni over the two others: 95 % of both one-sided bounds.
    spread = stats.sem(tables[0].scores - tables[2].scores)
    half = stats.t.ppf(1 - 0.05 / 2, 2) * spread
    assert third.high == pytest.approx(third.value + half)
    assert first.low == pytest.approx(tables[0].mean - tables[2].mean - half)


def test_equals_are_tied() -> None:
    table = of_scores(0.8, 0.82, 0.81)
    assert [each.tied for each in with_the_best([table, table])] == [True, True]
    assert [each.tied for each in with_the_best([table, table, of_scores(0.5, 0.52, 0.51)])] == [
        True,
        True,
        False,
    ]


def test_the_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    tables = [crossed(rng, 5, 30, (1, 1, 1), mean) for mean in (0, 1, 2, 3)]
    found = with_the_best(tables)
    assert with_the_best(tables[::-1]) == found[::-1]
    best = max(range(4), key=lambda number: tables[number].mean)
    assert found[best].tied and found[best].value >= 0


def test_the_best_is_among_the_tied() -> None:
    rng, missed = np.random.default_rng(1), 0
    for _ in range(300):
        common = rng.standard_normal((5, 1)) / 40
        tables = [crossed(rng, 5, 40, (0.7, 1, 0.5)) for _ in range(4)]
        missed += not with_the_best([Table(t.totals + common, t.weights) for t in tables])[0].tied
    assert missed <= 22  # of 15 expected at most


def test_families_without_effects_are_rarely_rejected() -> None:
    rng, rejected = np.random.default_rng(2), 0
    for _ in range(200):
        control, *others = (crossed(rng, 5, 40, (0.7, 1, 0.5)) for _ in range(5))
        p_values = [estimate(other.minus(control)).p for other in others]
        rejected += holm(p_values).min() < 0.05
    assert rejected <= 16  # of 10 expected at most
