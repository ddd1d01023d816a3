"""Studies drawn from the pool of real nano runs, whose truth is the pool's own means.

Seeds and components are drawn with replacement: what is a sample in a real study is one here. A
study may so draw the same seed twice, which lets even the exact t interval of normal scores cover a
little less than it says, and the more so the fewer seeds there are to draw from (`exact_t`).
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
    """

    right: Bool[np.ndarray, "configurations seeds languages items"]
    components: Int[np.ndarray, " items"]
    rng: np.random.Generator
    equal: bool = False
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
        return np.asarray(self.right.mean(axis=(1, 2, 3)))

    @property
    def truth(self) -> Float[np.ndarray, " configurations"]:
        """The mean accuracy of each configuration over the whole pool."""
        return np.full_like(self._pool, self._pool[0]) if self.equal else self._pool

    @property
    def pairs(self) -> int:
        """How many pairs are evaluated, all languages together."""
        return int(self._sizes[self._drawn].sum() * self.right.shape[2])

    def runs(self, seeds: int) -> Int[np.ndarray, " seeds"]:
        """Seeds of the pool, drawn with replacement."""
        return self.rng.integers(0, self.right.shape[1], seeds)

    def tables(self, runs: Int[np.ndarray, " seeds"], which: Sequence[int]) -> list[Table]:
        """The tables of some configurations with such seeds, which they share."""
        sizes = self._sizes[self._drawn]
        weights = sizes / sizes.sum()
        shift = self.truth - self._pool
        return [
            Table(
                self._counted[number][np.ix_(runs, self._drawn)] / sizes.sum()
                + shift[number] * weights,
                weights,
            )
            for number in which
        ]


def exact_t(
    pool: int, seeds: int = 5, comparisons: int = 5, pools: int = 20_000
) -> dict[str, float]:
    """How often the exact interval and test are right where normal scores are drawn like this.

    Paired t on seeds alone, in pools of normal scores that are drawn anew each time.

    Args:
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
    drawn = np.take_along_axis(differences, rng.integers(0, pool, (pools, seeds, 1)), axis=1)
    error = drawn.std(axis=1, ddof=1) / np.sqrt(seeds)
    beyond = np.abs(drawn.mean(axis=1)) > -special.stdtrit(seeds - 1, 0.025) * error
    family = np.abs(drawn.mean(axis=1)) > -special.stdtrit(seeds - 1, 0.025 / comparisons) * error
    return {
        "covered": round(1 - float(beyond.mean()), 4),
        "difference found falsely": round(float(family.any(axis=1).mean()), 4),
    }
