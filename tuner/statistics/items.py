"""The table of a configuration's scores by seed and component, the basis of all estimates.

Items share sentences, and languages are translations of the same items. The sampling unit is
therefore a connected component of shared sentences, with all its items in all languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Table:
    """The scores of one configuration, split by seed and by component.

    A difference of configurations is also a table, as is any other linear contrast of them.

    Attributes:
        totals: the contribution of each component to each seed's score, in the score's own unit
            (an accuracy of 1 means all items are right). A row sums to the seed's score.
        weights: the share of the score that each component can contribute; all are positive and
            they sum to 1.
    """

    totals: Float[np.ndarray, "seeds components"]
    weights: Float[np.ndarray, " components"]

    def __post_init__(self) -> None:
        assert self.totals.ndim == 2 and self.weights.shape == self.totals.shape[1:]
        assert len(self.totals) >= 1 and np.isfinite(self.totals).all()
        assert (self.weights > 0).all() and abs(self.weights.sum() - 1) < 1e-9

    @classmethod
    def of(
        cls,
        right: Sequence[Bool[np.ndarray, "seeds items"]],
        components: Sequence[Int[np.ndarray, " items"]],
    ) -> Table:
        """Build the table of a mean accuracy, unweighted over evaluation sets such as languages.

        Args:
            right: per evaluation set, true for the items that each seed classifies right. Sets may
                differ in their items, but not in their seeds.
            components: per evaluation set, the component of each item. A number means the same
                component in all sets, so that a component spans languages.
        """
        assert len(right) == len(components) >= 1
        seeds = len(right[0])
        _, numbers = np.unique(np.concatenate(components), return_inverse=True)
        count = int(numbers.max()) + 1
        totals, weights = np.zeros((seeds, count)), np.zeros(count)
        begin = 0
        for answers, own in zip(right, components, strict=True):
            assert answers.shape == (seeds, len(own))
            columns = numbers[begin : begin + len(own)]
            begin += len(own)
            cells = (np.arange(seeds)[:, None] * count + columns).ravel()
            counted = np.bincount(cells, answers.ravel(), seeds * count).reshape(seeds, count)
            share = 1 / (len(right) * len(own))
            totals += share * counted
            weights += share * np.bincount(columns, minlength=count)
        return cls(totals, weights)

    @property
    def scores(self) -> Float[np.ndarray, " seeds"]:
        """The score of each seed."""
        return np.asarray(self.totals.sum(axis=1))

    @property
    def mean(self) -> float:
        """The mean score over seeds."""
        return float(self.scores.mean())

    def of_seeds(self, rows: Sequence[int]) -> Table:
        """Return the table of some of its seeds, by their rows."""
        return Table(self.totals[list(rows)], self.weights)

    def minus(self, other: Table) -> Table:
        """Return this configuration minus another, paired by seed and by component."""
        return combined([self, other], [1.0, -1.0])


def combined(tables: Sequence[Table], factors: Sequence[float]) -> Table:
    """Return the linear contrast of configurations: the sum of factor times table.

    All tables must have the same seeds and components, in the same order, because the result is
    paired by both. It has the weights of the tables.
    """
    first = tables[0]
    assert len(tables) == len(factors)
    assert all(table.totals.shape == first.totals.shape for table in tables), "not paired"
    apart = [np.abs(table.weights - first.weights).max() for table in tables]
    assert max(apart) < 1e-9, "not paired"
    totals = np.tensordot(np.asarray(factors, float), [table.totals for table in tables], 1)
    return Table(totals, first.weights)
