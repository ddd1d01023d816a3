"""The search space: distributions of the settings that vary between trials, and conditions.

This is the only module that makes a TrialConfig from a sample.
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
    """A function that proposes a value, from Optuna's trial or a random generator."""

    def __call__(self, name: str, distribution: Distribution) -> Scalar: ...


class Space(RootModel[dict[str, Annotated[Distribution, Field(discriminator="type")]]]):
    """Distributions by dotted name. A parameter depends on those that its `when` names.

    It is drawn only if they are drawn and have one of the values that `when` lists. Conditions may
    nest.
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

    @property
    def has_conditions(self) -> bool:
        """True if a parameter depends on another."""
        return any(distribution.when for distribution in self.root.values())

    def ordered(self) -> list[str]:
        """Return the names so that each parameter comes after those that its `when` names.

        Raises:
            ValueError: the conditions form a cycle.
        """
        order: list[str] = []
        waiting = dict(self.root)
        while waiting:
            ready = [name for name, dist in waiting.items() if not set(dist.when) & set(waiting)]
            if not ready:
                raise ValueError(f"conditions form a cycle: {', '.join(sorted(waiting))}")
            order += ready
            for name in ready:
                del waiting[name]
        return order

    def sample(self, suggest: Suggest) -> dict[str, Scalar]:
        """Sample one point: values by dotted name, of the parameters whose conditions hold."""
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
        """Draw one uniform point, a function of the seed."""
        generator = random.Random(seed)
        return self.sample(lambda name, distribution: distribution.draw(generator))

    def draw_with(
        self, name: str, value: Scalar, generator: random.Random
    ) -> dict[str, Scalar] | None:
        """Draw a random point in which a parameter has this value, so its conditions hold.

        The conditions of its conditions hold too, to any depth. Returns None without such a point.
        """
        allowed = {name: [value]}
        for dependent in reversed(self.ordered()):  # after all parameters that depend on it
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
        """Return every point, in the order of the values in the file; None if over `at_most`.

        None also if there are infinitely many.
        """
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
        """Return whether the space can propose a point."""
        try:
            taken = self.sample(lambda name, distribution: point[name])
        except KeyError:
            return False
        return taken == point and all(possible(self.root[name], point[name]) for name in point)

    def locate(self, values: Mapping[str, Any]) -> dict[str, Scalar] | None:
        """Return the point of the space at which a trial with these settings lies; None if none.

        Args:
            values: every setting of the trial, by dotted name.
        """
        point = self.sample(lambda name, distribution: values[name])
        if any(point[name] != values[name] for name in point) or not self.holds(point):
            return None
        return point

    def _active(self, name: str, point: Mapping[str, Scalar]) -> bool:
        """Return whether a parameter's conditions hold in a point that already has their values."""
        when = self.root[name].when
        return all(other in point and point[other] in when[other] for other in when)

    def trial_config(self, fixed: Mapping[str, Any], params: Mapping[str, Any]) -> TrialConfig:
        """Return the configuration of a point: the sampled settings on top of the fixed ones.

        Raises:
            ValueError: the point is not a valid trial.
        """
        return compose(fixed, params, f"the space can propose {dict(params)}")


def compose(fixed: Mapping[str, Any], params: Mapping[str, Any], whence: str) -> TrialConfig:
    """Make a TrialConfig from dotted names, with `params` on top of `fixed`.

    Args:
        fixed: settings of every trial.
        params: settings of this trial.
        whence: the origin of the settings, which begins an error message.

    Raises:
        ValueError: the settings are not a valid trial.
    """
    try:
        return TrialConfig.from_flat(merged(fixed, params))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{whence}: {place}: {message}") from error


def merged(fixed: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a trial by dotted name: `params` on top of the fixed ones.

    A fixed `fusion.layer` applies only to trials that fuse: if `params` choose the last layer
    alone, it is dropped.
    """
    values = {**fixed, **params}
    kind = FUSIONS.get(params.get("fusion.kind", ""))
    if kind is not None and not kind.fuses and "fusion.layer" not in params:
        values.pop("fusion.layer", None)
    return values
