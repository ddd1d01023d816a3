"""The largest block without a missing run, against trying every choice of seeds."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from scipy.stats import binom

from tuner.search import complete
from tuner.search.complete import complete_block
from tuner.statistics.collapse import collapse_bound


def by_brute_force(done: dict[str, set[int]]) -> int:
    seeds = sorted({seed for own in done.values() for seed in own})
    return max(
        (
            size * sum(set(chosen) <= own for own in done.values())
            for size in range(1, len(seeds) + 1)
            for chosen in combinations(seeds, size)
        ),
        default=0,
    )


@pytest.mark.parametrize("seed", range(40))
def test_none_is_larger(seed: int) -> None:
    rng = random.Random(seed)
    rows, seeds, share = rng.randint(1, 7), rng.randint(1, 7), rng.random()
    done = {f"arm {k}": {s for s in range(seeds) if rng.random() < share} for k in range(rows)}
    arms, kept = complete_block(done)
    assert all(set(kept) <= done[arm] for arm in arms)
    assert len(arms) * len(kept) == by_brute_force(done)


def test_of_equal_ones_the_one_with_more_configurations() -> None:
    assert complete_block({"a": [1, 2], "b": [1]}) == (["a", "b"], [1])
    assert complete_block({"a": [1, 2], "b": [1, 2], "c": [2]}) == (["a", "b"], [1, 2])
    assert complete_block({"a": [], "b": []}) == ([], [])


def test_with_many_broken_seeds_it_is_still_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete, "EXHAUSTIVE", 1)
    done = {"a": range(6), "b": range(5), "c": [0, 1, 2, 3]}
    arms, kept = complete_block(done)
    assert all(set(kept) <= set(done[arm]) for arm in arms)
    assert len(arms) * len(kept) == 12


@pytest.mark.parametrize(("collapsed", "seeds"), [(0, 5), (1, 5), (3, 9), (4, 5)])
def test_a_bound_is_the_share_at_which_so_few_are_seen_in_5_percent(
    collapsed: int, seeds: int
) -> None:
    bound = collapse_bound(collapsed, seeds)
    assert binom.cdf(collapsed, seeds, bound) == pytest.approx(0.05)


def test_bounds_by_hand() -> None:
    assert collapse_bound(0, 5) == pytest.approx(1 - 0.05**0.2) == pytest.approx(0.4507, abs=1e-4)
    assert collapse_bound(5, 5) == 1.0
