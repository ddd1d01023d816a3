"""What varies between trials: distributions and conditions.

A sample becomes a TrialConfig here and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Protocol, Self

from pydantic import Field, RootModel, ValidationError, model_validator

from tuner.study.fusions import FUSIONS
from tuner.study.space.distributions import Distribution, Fixed, Scalar, possible, spelt_out
from tuner.study.trial import TrialConfig, check_value


class Suggest(Protocol):
    """What proposes a value: Optuna's trial, or a random generator."""

    def __call__(self, name: str, distribution: Distribution) -> Scalar: ...


class Space(RootModel[dict[str, Annotated[Distribution, Field(discriminator="type")]]]):
    """Distributions by dotted name. A parameter follows those that its `when` names.

    It is drawn where they are drawn and have one of the values that `when` lists: conditions nest.
    """

    root: dict[str, Annotated[Distribution, Field(discriminator="type")]] = {}

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: Any) -> Any:
        if isinstance(values, dict):
            return {name: spelt_out(value) for name, value in values.items()}
        return values

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name, distribution in self.root.items():
            for end in distribution.ends():
                check_value(name, end)
            for other, allowed in distribution.when.items():
                if other not in self.root:
                    raise ValueError(f"{name}: `when` names {other!r}, which is not in the space")
                for value in allowed:
                    check_value(other, value)
        self.ordered()
        return self

    def ordered(self) -> list[str]:
        """Names in an order in which every condition stands before what depends on it.

        Raises:
            ValueError: conditions go in a circle.
        """
        order: list[str] = []
        waiting = dict(self.root)
        while waiting:
            ready = [name for name, dist in waiting.items() if not set(dist.when) & set(waiting)]
            if not ready:
                raise ValueError(f"conditions go in a circle: {', '.join(sorted(waiting))}")
            order += ready
            for name in ready:
                del waiting[name]
        return order

    def sample(self, suggest: Suggest) -> dict[str, Scalar]:
        """One point: values by dotted name, of the parameters whose conditions hold."""
        params: dict[str, Scalar] = {}
        for name in self.ordered():
            distribution = self.root[name]
            if not self._active(name, params):
                continue
            if isinstance(distribution, Fixed):
                params[name] = distribution.value
            else:
                params[name] = suggest(name, distribution)
        return params

    def draw(self, seed: int) -> dict[str, Scalar]:
        """One uniform point, a function of the seed."""
        generator = random.Random(seed)
        return self.sample(lambda name, distribution: distribution.draw(generator))

    def draw_with(
        self, name: str, value: Scalar, generator: random.Random
    ) -> dict[str, Scalar] | None:
        """A random point in which a parameter has this value, so that its conditions hold.

        Their own conditions hold too, to any depth. None where there is no such point.
        """
        allowed = {name: [value]}
        for dependent in reversed(self.ordered()):  # all that ask something of it stood before it
            if dependent in allowed:
                for other, values in self.root[dependent].when.items():
                    asked = allowed.get(other, values)
                    allowed[other] = [value for value in values if value in asked]
        forced = {}
        for other, values in allowed.items():
            values = [value for value in values if possible(self.root[other], value)]
            if not values:
                return None
            forced[other] = generator.choice(values)
        return self.sample(lambda name, dist: forced.get(name, dist.draw(generator)))

    def points(self, at_most: int) -> list[dict[str, Scalar]] | None:
        """Every point, by value in the order of the file; None where there are more than these."""
        points: list[dict[str, Scalar]] = [{}]
        for name in self.ordered():
            active = [self._active(name, point) for point in points]
            if not any(active):
                continue
            grid = self.root[name].grid()
            if grid is None:
                return None
            values = list(islice(grid, at_most + 1))
            grown = (
                longer
                for point, is_active in zip(points, active, strict=True)
                for longer in (({**point, name: v} for v in values) if is_active else [point])
            )
            points = list(islice(grown, at_most + 1))
            if len(points) > at_most:
                return None
        return points

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether it can propose a point."""
        try:
            taken = self.sample(lambda name, distribution: point[name])
        except KeyError:
            return False
        return taken == point and all(possible(self.root[name], point[name]) for name in point)

    def _active(self, name: str, point: Mapping[str, Scalar]) -> bool:
        """Whether the conditions of a parameter hold in a point that has them already."""
        when = self.root[name].when
        return all(other in point and point[other] in when[other] for other in when)

    def trial_config(self, fixed: Mapping[str, Any], params: Mapping[str, Any]) -> TrialConfig:
        """The configuration of a point: fixed settings, then the sampled ones on top.

        Raises:
            ValueError: the point is no valid trial.
        """
        return compose(fixed, params, f"the space can propose {dict(params)}")


def compose(fixed: Mapping[str, Any], params: Mapping[str, Any], whence: str) -> TrialConfig:
    """A TrialConfig of dotted names, `params` on top of what is fixed for every trial.

    Args:
        fixed: settings of every trial.
        params: settings of this one.
        whence: says in messages where they come from.

    Raises:
        ValueError: they make no valid trial.
    """
    try:
        return TrialConfig.from_flat(merged(fixed, params))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{whence}: {place}: {message}") from error


def merged(fixed: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` on top of what is fixed for every trial, by dotted name.

    A fixed `fusion.layer` is for the trials that fuse: where `params` choose the last layer alone,
    it does not apply.
    """
    values = {**fixed, **params}
    kind = FUSIONS.get(params.get("fusion.kind", ""))
    if kind is not None and not kind.fuses and "fusion.layer" not in params:
        values.pop("fusion.layer", None)
    return values
