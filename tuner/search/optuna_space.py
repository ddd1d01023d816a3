"""A study's parameters as Optuna's distributions, and values there and back."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tuner.study.space.distributions import (
    Choice,
    Distribution,
    Float,
    Int,
    PowerOfTwo,
    Scalar,
)


def optuna_distribution(distribution: Distribution) -> BaseDistribution:
    """Return Optuna's distribution of a parameter.

    A float with a step becomes the index of the step, since whole steps are exact and low + k *
    step in a float distribution is not. A power of two becomes its exponent.
    """
    match distribution:
        case Float(low=low, high=high, step=None, log=log):
            return FloatDistribution(low, high, log=log)
        case Float():
            return IntDistribution(0, distribution.steps)
        case Int(low=low, high=high, step=step):
            return IntDistribution(low, high - (high - low) % step, step=step)
        case PowerOfTwo(low=low, high=high):
            return IntDistribution(low.bit_length() - 1, high.bit_length() - 1)
        case Choice(values=values):
            return CategoricalDistribution(values)
        case _:
            raise AssertionError(f"a fixed value is not suggested: {distribution}")


def suggested(trial: optuna.Trial, name: str, distribution: Distribution) -> Scalar:
    """Return the value that Optuna suggests for a parameter."""
    match optuna_distribution(distribution):
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high, step=step):
            return _outer(distribution, trial.suggest_int(name, low, high, step=step))
        case CategoricalDistribution(choices=choices):
            chosen = trial.suggest_categorical(name, choices)
            assert chosen is not None
            return chosen
        case other:
            raise AssertionError(f"not made by _distribution: {other}")


def _outer(distribution: Distribution, suggested: int) -> Scalar:
    """Convert one of Optuna's integers to the parameter's value."""
    match distribution:
        case PowerOfTwo():
            return 1 << suggested
        case Float():
            return distribution.at(suggested)
        case _:
            return suggested


def scaled(distribution: Distribution, share: float) -> Scalar:
    """Return the value at a share of a distribution, from 0 to 1."""
    match optuna_distribution(distribution):
        case FloatDistribution(low=low, high=high, log=True):
            return float(min(max(low * (high / low) ** share, low), high))
        case FloatDistribution(low=low, high=high):
            return float(low + share * (high - low))
        case IntDistribution(low=low, high=high, step=step):
            count = (high - low) // step + 1
            return _outer(distribution, low + step * min(int(share * count), count - 1))
        case CategoricalDistribution(choices=choices):
            chosen = choices[min(int(share * len(choices)), len(choices) - 1)]
            assert chosen is not None
            return chosen
        case other:
            raise AssertionError(f"not made by _distribution: {other}")


def inner(distribution: Distribution, value: Any) -> Any:
    """Convert a parameter's value to Optuna's: the opposite of `_outer`."""
    match distribution:
        case PowerOfTwo():
            return value.bit_length() - 1
        case Float(step=float()):
            return distribution.index(value)
        case _:
            return value
