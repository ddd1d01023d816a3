"""Scaling studies whose truth is known: a full factorial of β, B and k, every cell with all seeds.

The truth of an effect is what the same fit says of cells without noise: their true means, with any
seed and in any component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
from jaxtyping import Float
from judging import LEVEL, World

from tuner.scaling.design import Cell
from tuner.scaling.model import Fit, fit
from tuner.statistics.items import Table

EFFECTIVE_SIZES, LAYERS = (8, 32, 128), (None, 2)
CLEAR = 2.0
"""Points above which an effect is one that a scaling study ought to find."""


def cells(betas: Sequence[float]) -> list[Cell]:
    """The design, also the pool's; the control's own B first."""
    return [
        Cell(effective_size=size, cross_lingual=beta, layer=layer)
        for beta in betas
        for size in EFFECTIVE_SIZES
        for layer in LAYERS
    ]


def study(
    world: World, design: Sequence[Cell], seeds: int, planted: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Fit a design, and say which of its statements are right.

    Args:
        world: its configurations are the design's cells, in order.
        design: the cells.
        seeds: of each cell.
        planted: the true effects in points, where they are known without the fit; those not named
            are 0.
    """
    tables = world.tables(world.runs(seeds), range(len(design)))
    found = fit(dict(zip(design, tables, strict=True)))
    even = np.array([0.5, 0.5])
    true = fit(
        {
            cell: Table(np.outer([mean, mean], even), even)
            for cell, mean in zip(design, world.truth, strict=True)
        }
    )
    if planted is not None:
        for effect in true.effects:
            assert np.isclose(effect.estimate.value, planted.get(effect.name, 0.0)), effect.name
    return {**_effects(found, true), **_plateau(found, true)}


def _effects(found: Fit, true: Fit) -> dict[str, float]:
    truth = np.round([effect.estimate.value for effect in true.effects], 9)
    estimates = [effect.estimate for effect in found.effects]
    significant = np.array([effect.adjusted < LEVEL for effect in found.effects])
    right = np.array([each.value for each in estimates]) * truth > 0
    clear = np.abs(truth) >= CLEAR
    assert found.lack is not None
    return {
        "effect covered": _covered([(e.low, e.high) for e in estimates], truth),
        "effect found falsely": float((significant & ~right).any()),
        "clear effects found": float(np.mean((significant & right)[clear])) if clear.any() else nan,
        "marginal mean covered": _covered(
            [(each.low, each.high) for levels in found.means.values() for each in levels.values()],
            [each.value for levels in true.means.values() for each in levels.values()],
        ),
        "form rejected": float(found.lack.p < LEVEL),
    }


def _plateau(found: Fit, true: Fit) -> dict[str, float]:
    assert found.plateau is not None and true.plateau is not None
    gains = true.plateau.gains
    size = found.plateau.size
    return {
        "gains of a larger B bounded": float(
            all(gains[each] <= bound + 1e-9 for each, bound in found.plateau.bounds.items())
        ),
        "a B named": float(size is not None),
        "a B named too small": float(size is not None and gains[size] >= found.plateau.margin),
    }


def _covered(
    intervals: Sequence[tuple[float, float]], truth: Sequence[float] | Float[np.ndarray, " n"]
) -> float:
    return float(
        np.mean([low <= is_ <= high for (low, high), is_ in zip(intervals, truth, strict=True)])
    )
