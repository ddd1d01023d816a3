"""A joint test that several contrasts are all zero.

With a few seeds the covariance matrix V of many contrasts has no inverse, and Wald's statistic does
not exist. The ANOVA-type statistic needs no inverse. It divides the sum of the squared estimates by
its expected value under the null hypothesis, the trace of V. It is compared with an F distribution
with tr(V)^2 / tr(V^2) numerator degrees of freedom (Box 1954, Ann. Math. Stat. 25; Brunner, Dette
and Munk 1997, JASA 92). V is crossed over seeds and components, as in `tuner.statistics.variance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from tuner.statistics.items import Table
from tuner.statistics.variance import ROUNDING


@dataclass(frozen=True)
class Joint:
    """The result of a joint test of contrasts.

    Attributes:
        statistic: the sum of the squared estimates over its expected value under noise alone; about
            1 if all contrasts are 0.
        freedom: numerator degrees of freedom of the F distribution, at most the number of
            contrasts.
        error_freedom: its denominator degrees of freedom.
        p: the probability of a statistic at least as large if all contrasts are 0.
        beyond_noise: the estimated sum of the squared true contrasts, that is the observed sum
            minus its expected value under noise; at least 0. In the score's unit squared.
    """

    statistic: float
    freedom: float
    error_freedom: float
    p: float
    beyond_noise: float


def jointly_zero(contrasts: Sequence[Table]) -> Joint:
    """Test the null hypothesis that all contrasts of configurations are 0.

    Any orthonormal basis of the same contrasts gives the same result. With a single seed the test
    covers variation over items only, as the estimates do.

    Args:
        contrasts: linearly independent contrasts, all on the same seeds and components.
    """
    assert contrasts
    weights, leverage = contrasts[0].weights, 1 - contrasts[0].weights
    assert len(weights) >= 2
    assert all(np.allclose(contrast.weights, weights) for contrast in contrasts), "not paired"
    totals = np.stack([contrast.totals for contrast in contrasts])
    seeds = totals.shape[1]
    scores, means = totals.sum(axis=2), totals.mean(axis=1)
    values = scores.mean(axis=1)
    values[abs(values) <= ROUNDING] = 0.0
    residuals = (means - np.outer(values, weights)) / np.sqrt(leverage)
    items = residuals @ residuals.T
    between = np.zeros_like(items)
    if seeds > 1:
        apart = scores - values[:, None]
        between = apart @ apart.T / (seeds - 1) / seeds
        interaction = (totals - means[:, None] - apart[:, :, None] * weights) / np.sqrt(leverage)
        flat = interaction.reshape(len(contrasts), -1)
        items = items - flat @ flat.T / (seeds - 1) / seeds
        if np.trace(items) < 0:
            items = np.zeros_like(items)
    expected = float(np.trace(between + items))
    observed = float((values**2).sum())
    if expected <= len(contrasts) * ROUNDING**2:
        return Joint(np.inf if observed else 0.0, 1.0, 1.0, float(observed == 0), observed)
    freedom, error_freedom = _freedoms(between, items, seeds, 1 / float((weights**2).sum()))
    statistic = observed / expected
    p = float(special.fdtrc(freedom, error_freedom, statistic))
    return Joint(statistic, freedom, error_freedom, p, max(observed - expected, 0.0))


def _freedoms(
    between: Float[np.ndarray, "contrasts contrasts"],
    items: Float[np.ndarray, "contrasts contrasts"],
    seeds: int,
    components: float,
) -> tuple[float, float]:
    """Return Box's degrees of freedom of the sum of squares, and those of its expected value.

    The traces of products of the covariance between seeds are corrected for bias, given its
    seeds - 1 degrees of freedom (Brunner, Bathke and Placzek 2012, Biom. J. 54). Two seeds cannot
    show how this covariance spreads over the contrasts. The function then assigns all of it to one
    contrast, which makes the test conservative.
    """
    trace, squared = float(np.trace(between)), float((between**2).sum())
    one = seeds - 1
    if one >= 2:
        squared = one**2 / (one - 1) / (one + 2) * (squared - trace**2 / one)
    squared = min(max(squared, trace**2 / len(between)), trace**2)
    trace_squared = max(trace**2 - 2 * squared / one, squared) if one else 0.0
    across = float(np.trace(items))
    whole = trace_squared + 2 * trace * across + across**2
    spread = squared + 2 * float((between * items).sum()) + float((items**2).sum())
    freedom = min(max(whole / spread, 1.0), len(between))
    noise = squared / one if one else 0.0
    noise += float((items**2).sum()) / (components - 1)
    return freedom, whole / noise
