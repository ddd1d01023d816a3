"""The grid sampler: every feasible point once, in an order that the seed determines."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tuner.search.observations import Observations
from tuner.search.sampler import Accepts, Point, Sampler
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
        points = feasible.grid()
        random.Random(config.seed).shuffle(points)
        self._points = [(_key(point), point) for point in points]

    def next_point(self, number: int, known: Observations, accepts: Accepts) -> Point | None:
        tried = {_key(each.params) for each in known}
        left = (point for key, point in self._points if key not in tried)
        return next(filter(accepts, left), None)


def _key(point: Mapping[str, Any]) -> frozenset[tuple[str, object]]:
    return frozenset(point.items())
