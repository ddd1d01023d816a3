"""Grids that several tests of this room share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from tuner.scaling.design import Cell
from tuner.scaling.model import Fit
from tuner.statistics.items import Table

WEIGHTS = np.full(50, 1 / 50)


BETAS, SIZES, LAYERS = (0.0, 0.25, 0.5, 0.75, 1.0), (8, 32, 128), (None, 1, 2)


def grid(
    sizes: Sequence[int] = SIZES,
    betas: Sequence[float] = BETAS,
    layers: Sequence[int | None] = LAYERS,
) -> list[Cell]:
    return [Cell(*point) for point in product(sizes, betas, layers)]


def tables(
    cells: Sequence[Cell],
    truth: Callable[[Cell], float],
    seeds: int = 4,
    spread: float = 0.0,
    seed: int = 0,
) -> dict[Cell, Table]:
    """Accuracies around a truth in points; noise of cell × seed and of cell × component."""
    random = np.random.default_rng(seed)
    found = {}
    for cell in cells:
        by_seed = spread * random.standard_normal((seeds, 1))
        by_component = 3 * spread * random.standard_normal(len(WEIGHTS))
        found[cell] = Table((truth(cell) + by_seed + by_component) / 100 * WEIGHTS, WEIGHTS)
    return found


def values(fitted: Fit) -> dict[str, float]:
    return {effect.name: effect.estimate.value for effect in fitted.effects}
