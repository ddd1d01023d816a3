"""Choices of other criteria, checked by hand, and Pareto fronts beside their definition."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from tuner.search.choices import choices, dissenting, front, in_words
from tuner.statistics.ranks import rank_correlation

CANDIDATES = {
    "007": {"mean": 0.7, "balanced": 0.8, "worst": 0.5},
    "003": {"mean": 0.9, "balanced": 0.6, "worst": 0.5},
    "005": {"mean": 0.8, "balanced": 0.7, "worst": 0.4},
}


def test_each_criterion_chooses_its_highest_and_the_first_of_equal_ones() -> None:
    found = choices(CANDIDATES, "balanced")
    assert [(each.criterion, each.chosen) for each in found] == [
        ("balanced", "007"),
        ("mean", "003"),
        ("worst", "007"),
    ]
    assert found[1].values == {"007": 0.7, "003": 0.9, "005": 0.8}
    assert [each.criterion for each in dissenting(found)] == ["mean"]
    assert "by balanced it is 007, by mean 003" in in_words(found)
    assert "By worst, it would be the same" in in_words((found[0], found[2]))


def test_a_criterion_that_a_candidate_lacks_is_left_out() -> None:
    """A trial of an older version has none."""
    without = {**CANDIDATES, "009": {"mean": 0.5, "balanced": 0.5}}
    assert [each.criterion for each in choices(without, "mean")] == ["mean", "balanced"]
    assert choices({**CANDIDATES, "009": {}}, "mean") == choices({}, "mean") == ()


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_of_those_that_none_beats_by_both(seed: int) -> None:
    chance = Random(seed)
    points = {
        str(n): (chance.randrange(6) / 5, chance.randrange(6) / 5)
        for n in range(chance.randrange(1, 25))
    }
    beaten = {
        name
        for (name, here), other in product(points.items(), points.values())
        if other != here and other[0] >= here[0] and other[1] >= here[1]
    }
    found = front(points)
    assert set(found) == points.keys() - beaten and len(set(found)) == len(found)
    assert list(found) == sorted(found, key=lambda name: (-points[name][0], points[name][1]))


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 15]) == pytest.approx(0.5)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [1, 2, 3, 3]) == pytest.approx(0.9487, abs=1e-4)
    assert rank_correlation([1, 2], [1, 2]) is None, "two say nothing"
    assert rank_correlation([1, 2, 3], [1, 1, 1]) is None, "equal ones have no order"
