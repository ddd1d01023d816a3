"""An artificial objective on a study's space, on which its search is played through."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from tuner.study.space import Space
from tuner.study.space.distributions import Choice, Fixed, Float, PowerOfTwo, Scalar


class Landscape:
    """An artificial objective: each setting has a random best value and a random weight."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        chance = random.Random(seed)
        self._best = {name: (chance.random(), chance.gauss(0, 1)) for name in space.root}
        self._seed = seed

    def quality(self, params: Mapping[str, Any]) -> float:
        """Return a trial's score at full budget; higher is better.

        The unit is the standard deviation of a weight.
        """
        score = 0.0
        for name in sorted(params.keys() & self._best.keys()):
            best, weight = self._best[name]
            score += weight * abs(self._place(name, params[name]) - best)
        return score

    def _place(self, name: str, value: Scalar) -> float:
        """Return the position of a value in its range, from 0 to 1; random for a word."""
        distribution = self._space.root[name]
        if isinstance(distribution, Choice | Fixed) or isinstance(value, str):
            return random.Random(f"{self._seed} {name} {value}").random()
        low, high = distribution.low, distribution.high
        if isinstance(distribution, PowerOfTwo) or (
            isinstance(distribution, Float) and distribution.log
        ):
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) if high > low else 0.0
