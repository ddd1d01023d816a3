"""What varies between trials: distributions and conditions.

A sample becomes a TrialConfig here and nowhere else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, RootModel, ValidationError, field_validator, model_validator

from tuner.config import Part, TrialConfig, check_value

Scalar = bool | int | float | str
Condition = dict[str, list[Scalar]]


class Suggest(Protocol):
    """What proposes a value: Optuna's trial, or a random generator."""

    def __call__(self, name: str, distribution: Distribution) -> Scalar: ...


class _Range(Part):
    when: Condition = Field({}, description="drawn only where other parameters have these values")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = getattr(self, "low", 0), getattr(self, "high", 0)
        if low > high:
            raise ValueError(f"low <= high must hold, but got low={low}, high={high}")
        if getattr(self, "log", False) and low <= 0:
            raise ValueError(f"low > 0 must hold on a log scale, but got low={low}")
        if getattr(self, "log", False) and getattr(self, "step", None) is not None:
            raise ValueError("a step and a log scale exclude each other")
        return self


class Float(_Range):
    """A real number from low to high, both included; in steps, or on a log scale."""

    type: Literal["float"]
    low: float
    high: float
    step: float | None = Field(None, gt=0)
    log: bool = False

    def draw(self, random: random.Random) -> float:
        """A uniform draw (uniform in the logarithm where `log`)."""
        if self.step is not None:
            return self.at(random.randint(0, self.steps))
        if self.log:
            value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)
        return random.uniform(self.low, self.high)

    @property
    def steps(self) -> int:
        """How many whole steps fit between low and high."""
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9)

    def ends(self) -> list[Scalar]:
        """The lowest and the highest value that can be drawn."""
        return [self.low, self.high if self.step is None else self.at(self.steps)]

    def at(self, index: int) -> float:
        """The value `index` steps above low, as it is written: 0.3, not 0.30000000000000004."""
        assert self.step is not None
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def index(self, value: float) -> int:
        """How many steps `value` lies above low."""
        assert self.step is not None
        return round((value - self.low) / self.step)


class Int(_Range):
    """A whole number from low to high, both included."""

    type: Literal["int"]
    low: int
    high: int
    step: int = Field(1, ge=1)

    def draw(self, random: random.Random) -> int:
        """A uniform draw."""
        return random.randrange(self.low, self.high + 1, self.step)

    def ends(self) -> list[Scalar]:
        """The lowest and the highest value that can be drawn."""
        return [self.low, self.high - (self.high - self.low) % self.step]


class PowerOfTwo(_Range):
    """A power of two from low to high, both included, uniform in the exponent."""

    type: Literal["power_of_two"]
    low: int = Field(ge=1)
    high: int = Field(ge=1)

    @field_validator("low", "high")
    @classmethod
    def _is_power(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"must be a power of two, got {value}")
        return value

    def draw(self, random: random.Random) -> int:
        """A uniform draw of the exponent."""
        return 1 << random.randint(self.low.bit_length() - 1, self.high.bit_length() - 1)

    def ends(self) -> list[Scalar]:
        """The lowest and the highest value."""
        return [self.low, self.high]


class Choice(_Range):
    """One of a list of values, without order."""

    type: Literal["choice"]
    values: list[Scalar] = Field(min_length=1)

    def draw(self, random: random.Random) -> Scalar:
        """A uniform draw."""
        return random.choice(self.values)

    def ends(self) -> list[Scalar]:
        """All values: they have no order."""
        return self.values


class Fixed(_Range):
    """One value: what a plain scalar in the YAML means."""

    type: Literal["fixed"]
    value: Scalar

    def draw(self, random: random.Random) -> Scalar:
        """The value."""
        return self.value

    def ends(self) -> list[Scalar]:
        """The value."""
        return [self.value]


Distribution = Float | Int | PowerOfTwo | Choice | Fixed


def _shorthand(value: Any) -> Any:
    """A scalar is a fixed value, a list a choice."""
    if isinstance(value, list):
        return {"type": "choice", "values": value}
    if isinstance(value, bool | int | float | str):
        return {"type": "fixed", "value": value}
    return value


class Space(RootModel[dict[str, Annotated[Distribution, Field(discriminator="type")]]]):
    """Distributions by dotted name. A parameter follows those that its `when` names."""

    root: dict[str, Annotated[Distribution, Field(discriminator="type")]] = {}

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: Any) -> Any:
        if isinstance(values, dict):
            return {name: _shorthand(value) for name, value in values.items()}
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
