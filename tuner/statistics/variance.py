"""The mean of a table and its interval: crossed variance over seeds and components.

A score varies with the seed and with the items that happen to be in the set. Seeds also differ in
the items they get right. With S seeds, the variance of the mean is

    seeds   = variance over seeds of the seeds' scores / S
    items   = variance over components of their means - variance of the interaction / S
    variance of the mean = seeds + max(items, 0)

as in two-way clustering (Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29, 238) and in
crossed random effects (Owen 2007, Ann. Appl. Stat. 1, 386). The variance between seeds already
includes the interaction, so the interaction is subtracted from the variance between components.
The difference is never less than 0.

Five seeds estimate their own variance poorly. The interval is Banerjee's (1960, Sankhya 22, 357,
for sums of means with unequal variances). Its half width is the square root of

    t(seeds - 1)^2 * seeds + t(components - 1)^2 * items

This is the exact t interval where only one of the two varies. In between it covers at least the
nominal level, even far out in the tails, which Holm's correction uses. A single t with
Satterthwaite's degrees of freedom is narrower and covers too little there (benchmarks/LOG.md).
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
        seeds: the variance due to seeds, including their interaction with the items; it falls with
            more seeds. 0 for a single seed, which cannot show it.
        items: the variance due to the items in the set; more seeds do not reduce it. For a single
            seed it includes the interaction.
        seed_freedom: degrees of freedom of `seeds`; 0 for a single seed.
        item_freedom: degrees of freedom of `items`: the effective number of components, minus 1.
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
        """Return half the width of a two-sided interval that misses with probability `level`."""
        squared = self.items * _quantile(self.item_freedom, level) ** 2
        if self.seed_freedom:
            squared += self.seeds * _quantile(self.seed_freedom, level) ** 2
        return math.sqrt(squared)

    def freedom(self, level: float) -> float:
        """Return the degrees of freedom of the t that gives the same interval at `level`."""
        if self.seeds == 0 or self.items == 0:
            return self.seed_freedom if self.seeds else self.item_freedom
        quantile = self.half_width(level) / self.error
        low, high = sorted((self.seed_freedom, self.item_freedom))
        # If one part is nearly 0, rounding may put the quantile slightly outside the bounds.
        if quantile >= _quantile(low, level):
            return low
        if quantile <= _quantile(high, level):
            return high
        return _root(lambda freedom: _quantile(freedom, level) - quantile, low, high)

    def p_value(self, value: float) -> float:
        """Return the two-sided p-value: the level whose interval around `value` just reaches 0."""
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
"""The smallest p-value that is computed, except for 0 itself."""
ROUNDING = 1e-12
"""A mean or deviation below this is rounding error and counts as 0; real shares are larger."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a contrast of means, with its interval. All in the score's own unit.

    Attributes:
        value: the estimate.
        error: its standard error.
        freedom: degrees of freedom of the t distribution that gives the same interval with the same
            standard error. Near seeds - 1 where seeds vary most, near components - 1 where items
            do. For a single seed it is components - 1: the interval then covers variation over
            items only, and says nothing about other seeds.
        low: lower end of the interval.
        high: upper end of the interval.
        p: two-sided p-value of the null hypothesis that the value is 0; smaller ones read 1e-12.
        seeds: the number of seeds it is based on.
    """

    value: float
    error: float
    freedom: float
    low: float
    high: float
    p: float
    seeds: int


def estimate(table: Table, confidence: float = 0.95) -> Estimate:
    """Estimate the mean of a table over seeds, with an interval for other seeds and other items.

    Args:
        table: the table of a configuration, or of a contrast.
        confidence: the share of intervals that should contain the true value.

    Raises:
        UserError: all items form one component, so their variance cannot be estimated.
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
    """Return the crossed variance of a table's mean.

    Components differ in size, so the mean is a ratio: what components contribute over what they
    could contribute. A residual is the deviation from the component's share of the mean. Each
    squared residual is divided by 1 - the component's weight, which makes the variance unbiased
    where a component's variance is proportional to its size (the leverage correction of Bell and
    McCaffrey 2002).

    Raises:
        UserError: all items form one component.
    """
    totals, weights = table.totals, table.weights
    if len(weights) < 2:
        raise UserError(
            "all evaluated pairs are connected by shared sentences: with one component, no "
            "interval over items can be estimated",
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
    """Return the variance, or 0 where it is negative or only rounding error."""
    return variance if variance > ROUNDING**2 else 0.0


def _quantile(freedom: float, level: float) -> float:
    """Return the value that |t| exceeds with probability `level`."""
    return -float(special.stdtrit(freedom, level / 2))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find the root of a monotone function that changes its sign between the bounds."""
    return float(optimize.brentq(function, low, high, xtol=1e-9))
