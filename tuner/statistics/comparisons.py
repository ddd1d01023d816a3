"""Multiple comparisons: with the control (Holm), and with the best configuration (Hsu)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tuner.statistics.items import Table
from tuner.statistics.variance import parts_of


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " comparisons"]:
    """Adjust p-values for the number of comparisons; keep their order.

    Rejecting those below 5 % rejects a true null hypothesis in at most 5 % of families, whatever
    the dependence between the tests (Holm 1979, Scand. J. Stat. 6).
    """
    p = np.asarray(p_values, float)
    assert p.ndim == 1 and ((p >= 0) & (p <= 1)).all()
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


@dataclass(frozen=True)
class FromBest:
    """The difference between one configuration and the best of the others.

    Attributes:
        value: the estimated difference.
        low: lower end of its simultaneous interval, at most 0.
        high: upper end of that interval, at least 0.
        tied: true if this configuration may be the best of all.
    """

    value: float
    low: float
    high: float
    tied: bool


def with_the_best(tables: Sequence[Table], confidence: float = 0.95) -> tuple[FromBest, ...]:
    """Compare every configuration with the best of the others by Hsu's method.

    With probability `confidence` the truly best configuration is among the tied ones and all
    intervals hold (constrained intervals for unequal variances: Hsu 1996, Multiple Comparisons,
    ch. 4, after Edwards and Hsu 1983, J. Am. Stat. Assoc. 78, 965). A configuration is tied unless
    some other one is better by more than a one-sided bound. If only one is left, the data show it
    to be the best. Each pair has its own crossed variance, paired by seed and component.
    Bonferroni's bound replaces the joint distribution, which a few seeds cannot estimate well
    enough (benchmarks/LOG.md).

    Args:
        tables: two configurations or more, all on the same seeds and components.
        confidence: the probability that all statements hold together.

    Returns:
        One comparison a table, in the order of the tables.
    """
    count = len(tables)
    assert count >= 2
    level = 2 * (1 - confidence) / (count - 1)  # half_width is two-sided, the bounds are not
    half = np.zeros((count, count))
    for first in range(count):
        for second in range(first):
            parts = parts_of(tables[first].minus(tables[second]))
            half[first, second] = half[second, first] = parts.half_width(level)
    means = np.array([table.mean for table in tables])
    differences = means[:, None] - means
    apart = np.eye(count, dtype=bool)
    values = np.where(apart, np.inf, differences).min(axis=1)
    highs = np.where(apart, np.inf, differences + half).min(axis=1)
    tied = highs >= 0
    assert tied.any()
    lows = np.where(apart | ~tied, np.inf, differences - half).min(axis=1)
    # A single tied configuration is the best: its lower end is 0, and no other one competes.
    lows = np.where(tied & (tied.sum() == 1), 0.0, np.minimum(lows, 0))
    return tuple(
        FromBest(float(value), float(low), float(max(high, 0)), bool(is_tied))
        for value, low, high, is_tied in zip(values, lows, highs, tied, strict=True)
    )
