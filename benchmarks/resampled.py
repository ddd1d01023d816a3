"""Studies drawn from the pool of real nano runs, whose truth is the pool's own means.

Seeds and components are drawn with replacement: what is a sample in a real study is one here. Ten
seeds are few to draw from. The same ones come again, so that even the exact t interval of normal
scores covers too little then, and its test rejects too often (`exact_t`). So seeds are also drawn
smoothed (Silverman and Young 1987, Biometrika 74): each is mixed with a normal one that has the
pool's covariance over configurations, components and languages, in the proportion that the normal
reference rule gives for so many seeds, and scaled back to the pool's variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from tuner.statistics.items import Table


@dataclass
class Resampled:
    """Some languages of one split of the pool, its components drawn once.

    Attributes:
        right: whether each run is right on each item.
        components: of each item.
        rng: what components and seeds are drawn with.
        equal: whether all configurations are shifted to the mean of the first, so that none is
            better than another.
        smoothed: whether seeds are drawn smoothed.
    """

    right: Bool[np.ndarray, "configurations seeds languages items"]
    components: Int[np.ndarray, " items"]
    rng: np.random.Generator
    equal: bool = False
    smoothed: bool = False
    _drawn: Float[np.ndarray, " components"] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self._sizes)
        self._drawn = self.rng.integers(0, count, count)

    @cached_property
    def _sizes(self) -> Int[np.ndarray, " components"]:
        return np.bincount(self.components)

    @cached_property
    def _counted(self) -> Float[np.ndarray, "configurations seeds components"]:
        """How many items of a component a run gets right, as a mean over languages."""
        means = self.right.mean(axis=2)
        order = np.argsort(self.components, kind="stable")
        begins = np.searchsorted(self.components[order], np.arange(len(self._sizes)))
        return np.add.reduceat(means[..., order], begins, axis=-1)

    @cached_property
    def _pool(self) -> Float[np.ndarray, " configurations"]:
        return self.right.mean(axis=(1, 2, 3))

    @property
    def truth(self) -> Float[np.ndarray, " configurations"]:
        """The mean accuracy of each configuration over the whole pool."""
        return np.full_like(self._pool, self._pool[0]) if self.equal else self._pool

    @property
    def pairs(self) -> int:
        """How many pairs are evaluated, all languages together."""
        return int(self._sizes[self._drawn].sum()) * self.right.shape[2]

    def tables(self, seeds: int, which: Sequence[int]) -> list[Table]:
        """The tables of some configurations with freshly drawn seeds, which they share."""
        mixing = drawn_seeds(self.rng, seeds, self.right.shape[1], self.smoothed)
        sizes = self._sizes[self._drawn]
        weights = sizes / sizes.sum()
        shift = self.truth - self._pool
        return [
            Table(
                mixing @ self._counted[number][:, self._drawn] / sizes.sum()
                + shift[number] * weights,
                weights,
            )
            for number in which
        ]


def drawn_seeds(
    rng: np.random.Generator, seeds: int, pool: int, smoothed: bool
) -> Float[np.ndarray, "seeds pool"]:
    """What each drawn seed is of those in the pool; every row sums to 1."""
    drawn = np.eye(pool)[rng.integers(0, pool, seeds)]
    if not smoothed:
        return drawn
    bandwidth = 1.06 * pool**-0.2  # the normal reference rule
    normal = rng.standard_normal((seeds, pool)) / np.sqrt(pool)
    normal -= normal.mean(axis=1, keepdims=True)
    centred = (drawn - 1 / pool + bandwidth * normal) / np.sqrt(1 + bandwidth**2)
    return 1 / pool + centred


def exact_t(
    smoothed: bool, pool: int, seeds: int = 5, comparisons: int = 5, pools: int = 20_000
) -> dict[str, float]:
    """How often the exact interval and test are right where normal scores are drawn like this.

    Paired t on seeds alone, in pools of normal scores that are drawn anew each time.

    Args:
        smoothed: whether seeds are drawn smoothed.
        pool: how many there are to draw from.
        seeds: how many are drawn.
        comparisons: with the control.
        pools: how often.

    Returns:
        The share of intervals that hold the pool's mean, and that of families with a difference
        found where there is none, by Holm.
    """
    rng = np.random.default_rng(0)
    differences = rng.standard_normal((pools, pool, 1)) + rng.standard_normal(
        (pools, pool, comparisons)
    )
    differences -= differences.mean(axis=1, keepdims=True)
    mixing = np.stack([drawn_seeds(rng, seeds, pool, smoothed) for _ in range(pools)])
    drawn = mixing @ differences
    error = drawn.std(axis=1, ddof=1) / np.sqrt(seeds)
    beyond = np.abs(drawn.mean(axis=1)) > -special.stdtrit(seeds - 1, 0.025) * error
    family = np.abs(drawn.mean(axis=1)) > -special.stdtrit(seeds - 1, 0.025 / comparisons) * error
    return {
        "covered": round(1 - float(beyond.mean()), 4),
        "difference found falsely": round(float(family.any(axis=1).mean()), 4),
    }
