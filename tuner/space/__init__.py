"""What varies between trials: distributions and conditions.

A sample becomes a TrialConfig here and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol, Self

from pydantic import Field, RootModel, ValidationError, model_validator

from tuner.config import TrialConfig, check_value
from tuner.space.distributions import Distribution, Fixed, Scalar, spelt_out


class Suggest(Protocol):
    """What proposes a value: Optuna's trial, or a random generator."""

    def __call__(self, name: str, distribution: Distribution) -> Scalar: ...


class Space(RootModel[dict[str, Annotated[Distribution, Field(discriminator="type")]]]):
    """Distributions by dotted name. A parameter follows those that its `when` names."""

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
            active = all(params.get(k) in allowed for k, allowed in distribution.when.items())
            if active and isinstance(distribution, Fixed):
                params[name] = distribution.value
            elif active:
                params[name] = suggest(name, distribution)
        return params

    def draw(self, seed: int) -> dict[str, Scalar]:
        """One uniform point, a function of the seed."""
        generator = random.Random(seed)
        return self.sample(lambda name, distribution: distribution.draw(generator))

    def extremes(self) -> Iterator[dict[str, Scalar]]:
        """Points at the ends of every parameter, its conditions fulfilled, the rest at random."""
        for number, (name, distribution) in enumerate(self.root.items()):
            for end in distribution.ends():
                yield self._draw_with({name: end}, random.Random(number))

    def _draw_with(self, forced: dict[str, Scalar], generator: random.Random) -> dict[str, Scalar]:
        """A point with these values, and with whatever their conditions ask for."""
        for name in reversed(self.ordered()):
            if name in forced:
                for other, allowed in self.root[name].when.items():
                    forced.setdefault(other, generator.choice(allowed))
        return self.sample(lambda name, dist: forced.get(name, dist.draw(generator)))

    def trial_config(self, fixed: Mapping[str, Any], params: Mapping[str, Any]) -> TrialConfig:
        """The configuration of a point: fixed settings, then the sampled ones on top.

        Raises:
            ValueError: the point is no valid trial.
        """
        return compose(fixed, params, f"the space can propose {dict(params)}")


def compose(fixed: Mapping[str, Any], params: Mapping[str, Any], whence: str) -> TrialConfig:
    """A TrialConfig of dotted names, `params` on top of what is fixed for every trial.

    A fixed `fusion.layer` is for the trials that fuse: where `params` choose the last layer alone,
    it does not apply.

    Args:
        fixed: settings of every trial.
        params: settings of this one.
        whence: says in messages where they come from.

    Raises:
        ValueError: they make no valid trial.
    """
    values = {**fixed, **params}
    if params.get("fusion.kind") == "last" and "fusion.layer" not in params:
        values.pop("fusion.layer", None)
    try:
        return TrialConfig.from_flat(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{whence}: {place}: {message}") from error
