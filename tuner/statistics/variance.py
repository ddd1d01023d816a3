"""The mean of a table and its interval: crossed variance over seeds and components.

A score varies with the seed and with the items that happen to be in the set, and which items are
right differs from seed to seed. With e the residuals of the table (seeds s, components c), the
variance of the mean is

    seeds   = variance over seeds of the seeds' scores / S
    items   = variance over components of their means - variance of the interaction / S
    variance of the mean = seeds + max(items, 0)

as in two-way clustering (Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29, 238) and in
crossed random effects (Owen 2007, Ann. Appl. Stat. 1, 386): the variance between seeds holds
the interaction already, so it is taken off that between components, and never below nothing.

Five seeds say little about their own variance. The interval is Banerjee's (1960, Sankhya 22, 357,
for sums of means with unequal variances): its half width is the root of

    t(seeds - 1)^2 * seeds + t(components - 1)^2 * items

which is the exact t interval where only one of the two varies, and covers at least the nominal
level in between, also far out in the tails where Holm's correction looks. One t with
Satterthwaite's degrees of freedom is shorter and covers too little there (benchmarks/LOG.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from tuner.errors import UserError
from tuner.statistics.items import Table


@dataclass(frozen=True)
class Parts:
    """The variance of a mean, by its source.

    Attributes:
        seeds: what is due to seeds, their interaction with the items included; falls with more
            seeds. 0 for a single seed, which cannot show it.
        items: what is due to the items in the set; stays, however many seeds there are. For a
            single seed it holds the interaction.
        seed_freedom: degrees of freedom of the first; 0 for a single seed.
        item_freedom: those of the second: the effective number of components, less 1.
    """

    seeds: float
    items: float
    seed_freedom: float
    item_freedom: float

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.seeds + self.items)

    def half_width(self, level: float) -> float:
        """Half the width of a two-sided interval that misses with probability `level`."""
        squared = self.items * _quantile(self.item_freedom, level) ** 2
        if self.seed_freedom:
            squared += self.seeds * _quantile(self.seed_freedom, level) ** 2
        return math.sqrt(squared)

    def freedom(self, level: float) -> float:
        """Degrees of freedom of the t whose interval at `level` is this wide for this error."""
        if self.seeds == 0 or self.items == 0:
            return self.seed_freedom if self.seeds else self.item_freedom
        quantile = self.half_width(level) / self.error
        low, high = sorted((self.seed_freedom, self.item_freedom))
        # Where one part is next to nothing, rounding may put the quantile beyond the other's.
        if quantile >= _quantile(low, level):
            return low
        if quantile <= _quantile(high, level):
            return high
        return _root(lambda freedom: _quantile(freedom, level) - quantile, low, high)

    def p_value(self, value: float) -> float:
        """Two-sided: the level of the interval around `value` that just reaches 0."""
        if value == 0:
            return 1.0
        if self.error == 0 or self.half_width(_SMALLEST) <= abs(value):
            return 0.0 if self.error == 0 else _SMALLEST
        return math.exp(
            _root(
                lambda log_level: self.half_width(math.exp(log_level)) - abs(value),
                math.log(_SMALLEST),
                0.0,
            )
        )


_SMALLEST = 1e-12
"""No p-value below it is told apart."""
ROUNDING = 1e-12
"""Shares of accuracy are multiples of more; a mean or deviation below it is rounding, that is 0."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a contrast of means, and what it is worth. In the score's own unit.

    Attributes:
        value: the estimate.
        error: its standard error.
        freedom: degrees of freedom of the t distribution that gives the same interval with the same
            standard error. Near seeds - 1 where seeds differ most, near components - 1 where items
            do. Of a single seed it is the latter, and the interval is over items alone: it says
            nothing of other seeds.
        low: lower end of the interval.
        high: upper end.
        p: two-sided p-value of the value being 0; below `Parts` can tell apart, 1e-12.
        seeds: how many seeds it rests on.
    """

    value: float
    error: float
    freedom: float
    low: float
    high: float
    p: float
    seeds: int


def estimate(table: Table, confidence: float = 0.95) -> Estimate:
    """The mean of a table over seeds, with an interval for other seeds and other items.

    Args:
        table: of a configuration, or of a contrast.
        confidence: the share of intervals that are to hold the truth.

    Raises:
        UserError: all items are one component, so that nothing says how items vary.
    """
    parts = parts_of(table)
    half = parts.half_width(1 - confidence)
    value = table.mean if abs(table.mean) > ROUNDING else 0.0
    return Estimate(
        value=value,
        error=parts.error,
        freedom=parts.freedom(1 - confidence),
        low=value - half,
        high=value + half,
        p=parts.p_value(value),
        seeds=len(table.totals),
    )


def parts_of(table: Table) -> Parts:
    """The crossed variance of a table's mean.

    The mean is a ratio, of what components contribute to what they could, since components differ
    in size: residuals are those from each component's share of the mean. Each square is divided by
    1 - its weight, which makes the variance unbiased where a component's variance is proportional
    to its size (the leverage correction of Bell and McCaffrey 2002).

    Raises:
        UserError: all items are one component.
    """
    totals, weights = table.totals, table.weights
    if len(weights) < 2:
        raise UserError(
            "the pairs evaluated are all connected by shared sentences: one component, from which "
            "no interval over items can be made",
            "Evaluate on a set with more than one group of pairs that share no sentence.",
        )
    seeds, scores = len(totals), table.scores
    means = totals.mean(axis=0)
    between = float(((means - table.mean * weights) ** 2 / (1 - weights)).sum())
    item_freedom = max(1 / float((weights**2).sum()) - 1, 1.0)
    if seeds == 1:
        return Parts(0.0, _unrounded(between), 0.0, item_freedom)
    interaction = totals - means - np.outer(scores - table.mean, weights)
    twice = float((interaction**2 / (1 - weights)).sum()) / (seeds - 1) / seeds
    return Parts(
        _unrounded(float(scores.var(ddof=1)) / seeds),
        _unrounded(between - twice),
        seeds - 1.0,
        item_freedom,
    )


def _unrounded(variance: float) -> float:
    """Never below nothing, and nothing where it is rounding alone."""
    return variance if variance > ROUNDING**2 else 0.0


def _quantile(freedom: float, level: float) -> float:
    """What a t distribution exceeds, either way, with probability `level`."""
    return -float(special.stdtrit(freedom, level / 2))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotone function that changes its sign between the bounds is 0."""
    return float(optimize.brentq(function, low, high, xtol=1e-9))
