"""The smallest difference that a plan can detect, before anything is spent on it."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

from tuner.statistics.items import Table
from tuner.statistics.variance import Parts, parts_of


@dataclass(frozen=True)
class Noise:
    """How a difference of two configurations varies: what is assumed, or was observed earlier.

    Attributes:
        seeds: variance of the difference from one seed to another, in the score's unit squared.
        items: variance of the difference from one set of items of this size to another.
        freedom: effective number of components in the set, less 1.
    """

    seeds: float
    items: float
    freedom: float

    @classmethod
    def observed(cls, difference: Table) -> Noise:
        """From the paired difference of two configurations, of two seeds or more."""
        assert len(difference.totals) >= 2
        parts = parts_of(difference)
        return cls(parts.seeds * len(difference.totals), parts.items, parts.item_freedom)


def smallest_detectable(
    noise: Noise, seeds: int, comparisons: int, power: float = 0.8, level: float = 0.05
) -> float:
    """The true difference to the control that a plan finds with probability `power`.

    Two-sided at `level`, corrected for `comparisons` by Holm as if no other comparison were
    significant: its first and strictest step. The interval is that of `variance.estimate`; its
    chance is that of a noncentral t with the degrees of freedom that give the same interval.

    Args:
        noise: of a difference; some of it, or nothing says what can be found.
        seeds: per configuration, at least 2.
        comparisons: how many configurations are compared with the control.
        power: probability of finding it.
        level: probability of a false finding in the whole family.

    Returns:
        The difference, in the score's unit.
    """
    assert seeds >= 2 and comparisons >= 1 and 0.5 <= power < 1
    plan = Parts(noise.seeds / seeds, noise.items, seeds - 1.0, noise.freedom)
    assert plan.error > 0
    strictest = level / comparisons
    critical = plan.half_width(strictest) / plan.error
    freedom = plan.freedom(strictest)
    # nctdtr(df, nc, t) falls as nc rises: the noncentrality at which t is exceeded with `power`.
    return plan.error * float(special.nctdtrinc(freedom, 1 - power, critical))
