"""The feasible points of a search space: those that satisfy a study's requirements."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.errors import UserError
from tuner.study.space import Space, merged
from tuner.study.space.distributions import Scalar
from tuner.study.space.requirements import parse
from tuner.study.trial import TrialConfig

LARGEST_GRID = 100_000
"""The most points that are ever enumerated: more than any study tries."""
AT_ONCE = 10_000
"""The most points that are enumerated where it must be quick: whenever a study is read."""
DRAWS = 20_000
"""The most random points that are drawn until one satisfies the requirements."""
COMPLETIONS = 20
"""The random points that are tried with a parameter at one of its ends."""

DEFAULTS = TrialConfig().flat()


@dataclass(frozen=True)
class Tally:
    """Counts of feasible and excluded points, over the whole space or a sample.

    Attributes:
        points: how many points were checked.
        feasible: how many of them satisfy every requirement.
        excluded: how many of them violate each requirement, perhaps others as well.
        complete: True if these are all points of the space, each once.
    """

    points: int
    feasible: int
    excluded: dict[str, int]
    complete: bool


class Feasible:
    """The points of a space that satisfy the requirements, each checked as a whole configuration.

    Args:
        space: the search space.
        fixed: settings of every trial, by dotted name.
        require: the texts of the requirements.
    """

    def __init__(self, space: Space, fixed: Mapping[str, Any], require: Sequence[str]) -> None:
        self.space = space
        self._fixed = fixed
        self._requirements = tuple(parse(text) for text in require)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return every setting of a trial at a point: sampled, fixed or default; None if unset."""
        return {**DEFAULTS, **merged(self._fixed, params)}

    def complaint(self, params: Mapping[str, Any]) -> str:
        """Return the first requirement that a point violates, with its values; empty if none."""
        values = self.values(params)
        for requirement in self._requirements:
            if requirement.broken_by(values):
                got = ", ".join(f"{name} is {values[name]}" for name in requirement.names)
                return f"{requirement.text!r} does not hold: {got}"
        return ""

    def keeps(self, params: Mapping[str, Any]) -> bool:
        """Return whether a point satisfies every requirement."""
        values = self.values(params)
        return not any(requirement.broken_by(values) for requirement in self._requirements)

    def draw(self, seed: int) -> dict[str, Scalar]:
        """Draw one uniform feasible point, a function of the seed.

        Raises:
            UserError: none of DRAWS points satisfies the requirements.
        """
        generator = random.Random(seed)
        for _ in range(DRAWS):
            point = self.space.draw(generator.getrandbits(64))
            if self.keeps(point):
                return point
        raise UserError(
            f"none of {DRAWS:,} random points of the space satisfies the requirements",
            "Narrow the space to what `require` allows, or require less.",
        )

    def extremes(self) -> Iterator[dict[str, Scalar]]:
        """Yield a point for each end of every parameter; its other parameters are random.

        The parameter's conditions hold. An end without a feasible point is left out. In a space of
        more than 10,000 points, so is an end whose feasible points are rare.
        """
        points = self.space.points(AT_ONCE)
        feasible = None if points is None else list(filter(self.keeps, points))
        for number, (name, distribution) in enumerate(self.space.root.items()):
            for end in distribution.ends():
                generator = random.Random(number)
                if feasible is None:
                    drawn = (self.space.draw_with(name, end, generator) for _ in range(COMPLETIONS))
                    reached = [point for point in drawn if point is not None and self.keeps(point)]
                else:
                    reached = [point for point in feasible if point.get(name) == end]
                if reached:
                    yield generator.choice(reached)

    def grid(self) -> list[dict[str, Scalar]]:
        """Return every feasible point, once.

        Raises:
            ValueError: the space has infinitely many points, or too many.
        """
        points = self.space.points(LARGEST_GRID)
        if points is not None:
            return [point for point in points if self.keeps(point)]
        for name, distribution in self.space.root.items():
            if distribution.grid() is None:
                raise ValueError(
                    f"a grid needs parameters with finitely many values, but {name} has infinitely "
                    f"many: give it a step, or a list as in [1e-4, 3e-4]"
                )
        raise ValueError(
            f"the grid has more than {LARGEST_GRID:,} points: give larger steps, or choose "
            f"sampler.kind random"
        )

    def tally(self, enumerate_up_to: int, draws: int) -> Tally:
        """Count feasible points.

        Args:
            enumerate_up_to: all points are checked if there are at most this many.
            draws: the number of random points that are checked otherwise.
        """
        points = self.space.points(enumerate_up_to)
        complete = points is not None
        if points is None:
            points = [self.space.draw(seed) for seed in range(draws)]
        excluded = {requirement.text: 0 for requirement in self._requirements}
        feasible = 0
        for point in points:
            values = self.values(point)
            broken = [r.text for r in self._requirements if r.broken_by(values)]
            feasible += not broken
            for text in broken:
                excluded[text] += 1
        return Tally(len(points), feasible, excluded, complete)
