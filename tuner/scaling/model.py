"""The scaling model: a response over β, log₂ B, k and granularity, from a planned factorial design.

The means of the design's cells are fitted by least squares. Every effect is then a linear contrast
of cells, and so is every difference that is reported: its table of seeds by components is the same
contrast of the cells' tables, and its interval has their crossed variance. The model's own residual
variance is used for nothing. Which effects enter follows from the design (`tuner.scaling.design`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

from tuner.scaling.design import FACTORS, Cell, Factor, Level, levels, missing, terms
from tuner.statistics.comparisons import holm
from tuner.statistics.items import Table, combined
from tuner.statistics.joint import Joint, jointly_zero
from tuner.statistics.variance import Estimate, estimate

POINTS = 100.0
"""Tables are shares of 1; effects are told in points of accuracy."""


@dataclass(frozen=True)
class Effect:
    """One effect of the design.

    Attributes:
        name: in words, as `β`, `k = 2`, `β × log₂ B`.
        unit: what it is counted per: `from β = 0 to 1`, from the lowest level to the highest,
            `per doubling`, `against ...`; of a curvature `middle less ends`: how far the parabola,
            midway between its lowest and highest level, lies above the mean of these two ends.
        estimate: in points.
        adjusted: its p-value by Holm over all effects of the fit.
    """

    name: str
    unit: str
    estimate: Estimate
    adjusted: float


@dataclass(frozen=True)
class Plateau:
    """The effective batch size beyond which nothing is gained.

    Attributes:
        margin: the gain, in points, that counts as nothing.
        gains: by B but the largest: what the best of the larger ones gains over it, estimated.
        bounds: the same, and the upper bound of what any larger one gains: all of them hold
            together with the stated confidence.
        size: the smallest B whose bound is below the margin; None: not shown.
    """

    margin: float
    gains: Mapping[int, float]
    bounds: Mapping[int, float]
    size: int | None


@dataclass(frozen=True)
class Fit:
    """What a design says. All values in points of accuracy.

    Attributes:
        cells: how many there are.
        missing: cells that a full factorial over the same levels has besides.
        refused: effects that are not fitted, and why, a sentence each.
        mean: the response at the average of all factors' levels.
        effects: main effects, curvatures, interactions.
        means: by factor that varies and level: the mean over the other factors, over those of
            their combinations that have all levels. A factor without such a combination is absent.
        surface: the same by B and β together.
        plateau: None where B does not vary, or `means` lacks it.
        lack: whether the cells depart from the fitted form, tested by all their departures
            together; None where the form has as many effects as there are cells.
    """

    cells: int
    missing: tuple[Cell, ...]
    refused: tuple[str, ...]
    mean: Estimate
    effects: tuple[Effect, ...]
    means: Mapping[Factor, Mapping[Level, Estimate]]
    surface: Mapping[tuple[int, float], Estimate]
    plateau: Plateau | None
    lack: Joint | None

    @property
    def departure(self) -> float:
        """Root mean square over the cells of what the fitted form misses, noise taken off."""
        return math.sqrt(self.lack.beyond_noise / self.cells) if self.lack else 0.0


def fit(cells: Mapping[Cell, Table], margin: float = 0.5, confidence: float = 0.95) -> Fit:
    """Fit a response over the cells of a design.

    Args:
        cells: the table of each: one response, for instance the mean accuracy over the targets;
            all on the same seeds, two or more, and components.
        margin: the gain, in points, that counts as nothing.
        confidence: of each interval, and of the bounds of `Plateau` together.

    Raises:
        UserError: nothing varies, two factors vary only together, or all items are one component.
    """
    assert margin > 0
    assert all(len(table.totals) > 1 for table in cells.values()), "one seed shows no others"
    found = terms(list(cells))
    columns = [np.ones(len(cells)), *(term.column for term in found.kept)]
    design = np.column_stack(columns)  # of full rank: `terms` sees to it
    weights = np.linalg.pinv(design)
    tables = list(cells.values())
    mean, *estimates = (estimate(_points(tables, row), confidence) for row in weights)
    adjusted = holm([each.p for each in estimates])
    means = {
        factor: {level: estimate(table, confidence) for (level,), table in marginal.items()}
        for factor in FACTORS
        if len(levels(list(cells), factor)) > 1 and (marginal := _marginal(cells, [factor]))
    }
    surface = _marginal(cells, ["effective_size", "cross_lingual"])
    return Fit(
        cells=len(cells),
        missing=missing(list(cells)),
        refused=found.refused,
        mean=mean,
        effects=tuple(
            Effect(term.name, term.unit, each, float(p))
            for term, each, p in zip(found.kept, estimates, adjusted, strict=True)
        ),
        means=means,
        surface={point: estimate(table, confidence) for point, table in surface.items()},  # type: ignore[misc]
        plateau=_plateau(cells, margin, confidence),
        lack=_lack(tables, design),
    )


def _points(tables: Sequence[Table], factors: Float[np.ndarray, " cells"]) -> Table:
    return combined(tables, [POINTS * float(factor) for factor in factors])


def _marginal(
    cells: Mapping[Cell, Table], factors: Sequence[Factor]
) -> dict[tuple[Level, ...], Table]:
    """Means by the levels of some factors, in points: over the combinations of the other factors.

    Only combinations that have all these levels enter, so that like is compared with like. Empty
    where there is none.
    """
    others = [factor for factor in FACTORS if factor not in factors]
    blocks: dict[tuple[Level, ...], dict[tuple[Level, ...], Table]] = {}
    for cell, table in cells.items():
        block = blocks.setdefault(_levels_of(cell, others), {})
        block[_levels_of(cell, factors)] = table
    points = list(product(*(levels(list(cells), factor) for factor in factors)))
    complete = [block for block in blocks.values() if len(block) == len(points)]
    if not complete:
        return {}
    share = np.full(len(complete), 1 / len(complete))
    return {point: _points([block[point] for block in complete], share) for point in points}


def _levels_of(cell: Cell, factors: Sequence[Factor]) -> tuple[Level, ...]:
    return tuple(getattr(cell, factor) for factor in factors)


def _plateau(cells: Mapping[Cell, Table], margin: float, confidence: float) -> Plateau | None:
    """Upper bounds of the gain over each B, together.

    The largest true gain over a B is one of its gains, whose own bound the largest bound reaches:
    it needs no correction for their number. Bonferroni's is for the number of B that have a bound.
    """
    by_size = {size: table for (size,), table in _marginal(cells, ["effective_size"]).items()}
    if len(by_size) < 2:
        return None
    *smaller, _ = by_size
    one_sided = (1 - confidence) / len(smaller)
    gains, bounds = {}, {}
    for size in smaller:
        assert isinstance(size, int)
        over = [
            estimate(table.minus(by_size[size]), 1 - 2 * one_sided)
            for larger, table in by_size.items()
            if isinstance(larger, int) and larger > size
        ]
        gains[size] = max(each.value for each in over)
        bounds[size] = max(each.high for each in over)
    shown = (size for size in gains if bounds[size] < margin)
    return Plateau(margin, gains, bounds, next(shown, None))


def _lack(tables: Sequence[Table], design: Float[np.ndarray, "cells effects"]) -> Joint | None:
    """Test what is orthogonal to the fitted form."""
    count, effects = design.shape
    if count == effects:
        return None
    departures = np.linalg.qr(design, mode="complete").Q[:, effects:]
    return jointly_zero([_points(tables, column) for column in departures.T])
