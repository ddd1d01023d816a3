"""The comparable runs of a plan in which some have failed: a block of configurations and seeds."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from itertools import combinations
from typing import TypeVar

Row = TypeVar("Row", bound=Hashable)
EXHAUSTIVE = 12
"""The most seeds with a failure for which every choice is tried; beyond it, one is dropped after
the other."""


def complete_block(done: Mapping[Row, Collection[int]]) -> tuple[list[Row], list[int]]:
    """Return the configurations and the seeds of the largest block without a missing run.

    A failed run costs either its configuration or its seed, whichever loses fewer runs. Of equal
    blocks it is the one with more configurations.

    Args:
        done: for each configuration, the seeds whose run is complete.

    Returns:
        Configurations in their order, and seeds in ascending order; both empty if no run is
        complete.
    """
    seeds = sorted({seed for own in done.values() for seed in own})
    some = [row for row, own in done.items() if own]
    broken = [seed for seed in seeds if any(seed not in done[row] for row in some)]
    best: tuple[list[Row], list[int]] = ([], [])
    for dropped in _droppable(broken, done):
        left = [seed for seed in seeds if seed not in dropped]
        rows = [row for row in some if set(left) <= set(done[row])] if left else []
        if _size(rows, left) > _size(*best):
            best = rows, left
    return best


def _size(rows: list[Row], seeds: list[int]) -> tuple[int, int]:
    return len(rows) * len(seeds), len(rows)


def _droppable(broken: list[int], done: Mapping[Row, Collection[int]]) -> list[set[int]]:
    """Return the sets of seeds to try without: all of them, or the most broken ones first."""
    if len(broken) <= EXHAUSTIVE:
        sizes = range(len(broken) + 1)
        return [set(chosen) for size in sizes for chosen in combinations(broken, size)]
    missing = {seed: sum(seed not in own for own in done.values()) for seed in broken}
    order = sorted(broken, key=lambda seed: -missing[seed])
    return [set(order[:number]) for number in range(len(order) + 1)]
