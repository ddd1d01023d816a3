"""The bound of how many other seeds may collapse, given those that did."""

from __future__ import annotations

from scipy import special


def collapse_bound(collapsed: int, seeds: int, level: float = 0.05) -> float:
    """Return the upper bound of the share of seeds that collapse: Clopper and Pearson's, one-sided.

    With 0 of 5 it is 45 %: 5 seeds without a collapse are what one sees in 5 % of cases if 45 % of
    all seeds collapse.

    Args:
        collapsed: how many collapsed.
        seeds: of how many.
        level: the share of cases in which the bound is too low at most.
    """
    assert 0 <= collapsed <= seeds
    if collapsed == seeds:
        return 1.0
    return float(special.betaincinv(collapsed + 1, seeds - collapsed, 1 - level))
