"""Distributions of the parameters of a search space."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tuner.study.trial import Part

MAX_STEPS, MAX_VALUES = 1e15, 1_000
"""The most steps of a range (or its largest width without steps), and the most values of a
choice."""

Scalar = bool | int | float | str
Condition = dict[str, list[Scalar]]


class _Range(Part):
    when: Condition = Field({}, description="drawn only if other parameters have these values")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = getattr(self, "low", 0), getattr(self, "high", 0)
        if low > high:
            raise ValueError(f"low <= high must hold, but got low={low}, high={high}")
        if getattr(self, "log", False) and low <= 0:
            raise ValueError(f"low > 0 must hold on a log scale, but got low={low}")
        if getattr(self, "log", False) and getattr(self, "step", None) is not None:
            raise ValueError("a step and a log scale exclude each other")
        if not (high - low) / (getattr(self, "step", None) or 1) < MAX_STEPS:
            raise ValueError(f"the range has too many steps: low={low}, high={high}")
        return self


class Float(_Range):
    """A real number from low to high, both included; in steps, or on a log scale."""

    type: Literal["float"] = Field(description="a real number in a range")
    low: float = Field(description="the lowest value")
    high: float = Field(description="the highest value")
    step: float | None = Field(None, gt=0, description="low, low + step, low + 2 step, ...")
    log: bool = Field(False, description="uniform in the logarithm")

    def draw(self, random: random.Random) -> float:
        """Draw uniformly (uniformly in the logarithm if `log`)."""
        if self.step is not None:
            return self.at(random.randint(0, self.steps))
        if self.log:
            value = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)
        return random.uniform(self.low, self.high)

    @property
    def steps(self) -> int:
        """The number of whole steps that fit between low and high."""
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9)

    def ends(self) -> list[Scalar]:
        """Return the lowest and the highest value that can be drawn."""
        return [self.low, self.high if self.step is None else self.at(self.steps)]

    def grid(self) -> Iterable[Scalar] | None:
        """Return every value, lowest first; None without a step: there are infinitely many."""
        return None if self.step is None else map(self.at, range(self.steps + 1))

    def at(self, index: int) -> float:
        """Return the value `index` steps above low, computed in decimals.

        So it is 0.3, for instance, not 0.30000000000000004.
        """
        assert self.step is not None
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def index(self, value: float) -> int:
        """Return how many steps `value` lies above low."""
        assert self.step is not None
        return round((value - self.low) / self.step)


class Int(_Range):
    """A whole number from low to high, both included."""

    type: Literal["int"] = Field(description="a whole number in a range")
    low: int = Field(description="the lowest value")
    high: int = Field(description="the highest value")
    step: int = Field(1, ge=1, description="low, low + step, low + 2 step, ...")

    def draw(self, random: random.Random) -> int:
        """Draw uniformly."""
        return random.randrange(self.low, self.high + 1, self.step)

    def ends(self) -> list[Scalar]:
        """Return the lowest and the highest value that can be drawn."""
        return [self.low, self.high - (self.high - self.low) % self.step]

    def grid(self) -> Iterable[Scalar]:
        """Return every value, lowest first."""
        return range(self.low, self.high + 1, self.step)


class PowerOfTwo(_Range):
    """A power of two from low to high, both included, uniform in the exponent."""

    type: Literal["power_of_two"] = Field(description="8, 16, 32, ... in a range")
    low: int = Field(ge=1, description="the lowest value, a power of two")
    high: int = Field(ge=1, description="the highest value, a power of two")

    @field_validator("low", "high")
    @classmethod
    def _is_power(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError(f"must be a power of two, got {value}")
        return value

    def draw(self, random: random.Random) -> int:
        """Draw the exponent uniformly."""
        return 1 << random.randint(self.low.bit_length() - 1, self.high.bit_length() - 1)

    def ends(self) -> list[Scalar]:
        """Return the lowest and the highest value."""
        return [self.low, self.high]

    def grid(self) -> Iterable[Scalar]:
        """Return every value, lowest first."""
        return [1 << e for e in range(self.low.bit_length() - 1, self.high.bit_length())]


class Choice(_Range):
    """A choice from a list of values without an order."""

    type: Literal["choice"] = Field(description="one of a list; a plain list means the same")
    values: list[Scalar] = Field(
        min_length=1, max_length=MAX_VALUES, description="the allowed values"
    )

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: list[Scalar]) -> list[Scalar]:
        if len(set(values)) < len(values):
            raise ValueError(f"values must be distinct, got {values}")
        return values

    def draw(self, random: random.Random) -> Scalar:
        """Draw uniformly."""
        return random.choice(self.values)

    def ends(self) -> list[Scalar]:
        """Return all values, because they have no order."""
        return self.values

    def grid(self) -> Iterable[Scalar]:
        """Return all values."""
        return self.values


class Fixed(_Range):
    """A single value; a plain scalar in the YAML means the same."""

    type: Literal["fixed"] = Field(description="one value; a plain value means the same")
    value: Scalar = Field(description="the value")

    def draw(self, random: random.Random) -> Scalar:
        """Return the value."""
        return self.value

    def ends(self) -> list[Scalar]:
        """Return the value."""
        return [self.value]

    def grid(self) -> Iterable[Scalar]:
        """Return the value."""
        return [self.value]


Distribution = Float | Int | PowerOfTwo | Choice | Fixed


def possible(distribution: Distribution, value: Scalar) -> bool:
    """Return whether a distribution can give this value."""
    if not isinstance(distribution, Float):
        is_number = not isinstance(distribution, Int) or isinstance(value, int)
        return is_number and value in distribution.grid()  # `in range` is fast only for an int
    if not isinstance(value, int | float) or not distribution.low <= value <= distribution.high:
        return False
    return distribution.step is None or distribution.at(distribution.index(value)) == value


def spelt_out(value: Any) -> Any:
    """Expand the short forms of a distribution: a scalar is a fixed value, a list a choice."""
    if isinstance(value, list):
        return {"type": "choice", "values": value}
    if isinstance(value, bool | int | float | str):
        return {"type": "fixed", "value": value}
    return value
