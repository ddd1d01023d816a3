"""The scaling model: a response over β, log₂ B, k and granularity, from a planned factorial design.

The means of the design's cells are fitted by least squares. Every effect and every reported
difference is therefore a linear contrast of cells. Its table of seeds by components is the same
contrast of the cells' tables, and its interval uses their crossed variance. The model's own
residual variance is not used. The design determines the effects (`tuner.scaling.design`).
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
"""The factor from tables, which hold shares of 1, to effects, in points of accuracy."""


@dataclass(frozen=True)
class Effect:
    """One effect of the design.

    Attributes:
        name: name in words, for example `β`, `k = 2`, `β × log₂ B`.
        unit: unit in words: `from β = 0 to 1` for lowest to highest level, `per doubling`,
            `against ...`. For a curvature it is `middle minus ends`: the height of the parabola
            midway between the lowest and the highest level, above the mean of these two ends.
        estimate: the estimate, in points.
        adjusted: its p-value with Holm's correction for all effects of the fit.
    """

    name: str
    unit: str
    estimate: Estimate
    adjusted: float


@dataclass(frozen=True)
class Plateau:
    """The effective batch size beyond which larger ones gain nothing.

    Attributes:
        margin: the gain, in points, below which a gain counts as nothing.
        gains: for each B except the largest, the estimated gain of the best larger B over it.
        bounds: for each B except the largest, an upper bound on the gain of any larger B over it.
            All bounds hold together with the stated confidence.
        size: the smallest B whose bound is below the margin; None if no bound is.
    """

    margin: float
    gains: Mapping[int, float]
    bounds: Mapping[int, float]
    size: int | None


@dataclass(frozen=True)
class Fit:
    """A fitted response. All values are in points of accuracy.

    Attributes:
        cells: the number of cells.
        missing: the cells that a full factorial over the same levels has in addition.
        refused: a sentence for each effect that is not fitted, with the reason.
        mean: the response at the average of all factors' levels.
        effects: main effects, curvatures, interactions.
        means: for each level of each varying factor, the mean over those combinations of the other
            factors that have all levels. A factor without such a combination is absent.
        surface: the same means for B and β together.
        plateau: the plateau in B; None if B does not vary, or `means` lacks it.
        lack: the lack-of-fit test, a joint test of all departures of the cells from the fitted
            form; None if the form has as many effects as there are cells.
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
        """The root mean square over cells of the departures from the fitted form, without noise."""
        return math.sqrt(self.lack.beyond_noise / self.cells) if self.lack else 0.0


def fit(cells: Mapping[Cell, Table], margin: float = 0.5, confidence: float = 0.95) -> Fit:
    """Fit a response over the cells of a design.

    Args:
        cells: the table of each cell for one response, for example the mean accuracy over the
            targets; all on the same components and the same seeds, two or more.
        margin: the gain, in points, below which a gain counts as nothing.
        confidence: the confidence of each interval, and of all bounds of `Plateau` together.

    Raises:
        UserError: nothing varies, two factors vary only together, or all items form one component.
    """
    assert margin > 0
    assert all(len(table.totals) > 1 for table in cells.values()), "one seed shows no others"
    found = terms(list(cells))
    columns = [np.ones(len(cells)), *(term.column for term in found.kept)]
    design = np.column_stack(columns)  # `terms` guarantees full rank
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
    """Average over the other factors for each combination of levels of some factors, in points.

    Only combinations of the other factors that have all these levels enter, so that means are
    comparable. The result is empty without such a combination.
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
    """Compute simultaneous upper bounds on the gain over each B.

    The largest true gain over a B is one of its gains, and the largest bound is at least that
    gain's own bound. The number of larger B therefore needs no correction. Bonferroni's correction
    is for the number of B that have a bound.
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
    """Test for lack of fit: the contrasts that are orthogonal to the fitted form."""
    count, effects = design.shape
    if count == effects:
        return None
    departures = np.linalg.qr(design, mode="complete").Q[:, effects:]
    return jointly_zero([_points(tables, column) for column in departures.T])
