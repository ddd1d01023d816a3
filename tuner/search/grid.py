"""The grid sampler: every feasible point once, in an order that the seed determines."""

from __future__ import annotations

import random
from typing import Any

from tuner.search.sampler import Point, Sampler
from tuner.study.samplers import SamplerConfig
from tuner.study.space.feasible import Feasible


class GridSearch(Sampler):
    """Proposes every feasible point once, shuffled by the seed.

    The first n points are then a random sample of the grid, with every value of every parameter in
    about its share. So a study that ends early has still seen all values, and ASHA does not compare
    trials of only one kind at a rung, as it would in the order in which a grid is written down.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        super().__init__(feasible, config)
        self._left = feasible.grid()
        random.Random(config.seed).shuffle(self._left)

    def next_point(self, number: int) -> Point | None:
        return next(iter(self._left), None)

    def proposed(self, number: int, params: dict[str, Any]) -> None:
        if params in self._left:
            self._left.remove(params)
