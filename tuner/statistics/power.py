"""Power analysis: the smallest difference that a plan can detect, computed before it runs."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

from tuner.statistics.items import Table
from tuner.statistics.variance import Parts, parts_of


@dataclass(frozen=True)
class DifferenceVariance:
    """The assumed or observed variance of a difference between two configurations.

    Attributes:
        seeds: variance of the difference from one seed to another, in the score's unit squared.
        items: variance of the difference from one set of items of this size to another.
        freedom: effective number of components in the set, minus 1.
    """

    seeds: float
    items: float
    freedom: float

    @classmethod
    def observed(cls, difference: Table) -> DifferenceVariance:
        """Estimate the noise from the paired difference of two configurations, over 2+ seeds."""
        assert len(difference.totals) >= 2
        parts = parts_of(difference)
        return cls(parts.seeds * len(difference.totals), parts.items, parts.item_freedom)


def smallest_detectable(
    noise: DifferenceVariance, seeds: int, comparisons: int, power: float = 0.8, level: float = 0.05
) -> float:
    """Return the true difference from the control that a plan detects with probability `power`.

    The test is two-sided at `level`. Holm's correction for `comparisons` applies as if no other
    comparison were significant, which is its first and strictest step. The interval is that of
    `variance.estimate`. The power is that of a noncentral t with the degrees of freedom that give
    the same interval.

    Args:
        noise: the variance of a difference; must not be 0.
        seeds: seeds of each configuration, at least 2.
        comparisons: how many configurations are compared with the control.
        power: the probability of detecting the difference.
        level: the probability of a false finding in the whole family.

    Returns:
        The difference, in the score's unit.
    """
    assert seeds >= 2 and comparisons >= 1 and 0.5 <= power < 1
    plan = Parts(noise.seeds / seeds, noise.items, seeds - 1.0, noise.freedom)
    assert plan.error > 0
    strictest = level / comparisons
    critical = plan.half_width(strictest) / plan.error
    freedom = plan.freedom(strictest)
    # nctdtr(df, nc, t) falls as nc rises. nctdtrinc solves it for the noncentrality nc at which
    # the statistic exceeds `critical` with probability `power`.
    return plan.error * float(special.nctdtrinc(freedom, 1 - power, critical))
