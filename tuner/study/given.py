"""Points of a space that a user gives: enqueued in the study's file, or added while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.errors import UserError
from tuner.study.space.distributions import (
    Choice,
    Distribution,
    Fixed,
    Float,
    Int,
    PowerOfTwo,
    possible,
)
from tuner.study.space.feasible import DEFAULTS
from tuner.study.trial import check_value

if TYPE_CHECKING:
    from tuner.study import StudyConfig


def given_point(study: StudyConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point of the space that a user's settings name, checked like any proposal.

    A setting of the space that is left out has its value from `trial:`, or its default.

    Raises:
        UserError: the settings name no point of the space, or violate a requirement.
    """
    if study.design is not None:
        raise UserError(
            f"{study.name} is a design, and all its trials are planned", "Add points to a search."
        )
    varied = study.space.root
    for name, value in settings.items():
        if name not in varied:
            raise UserError(
                f"{name} is not varied by {study.name}",
                f"A point has these settings: {', '.join(varied)}.",
            )
        try:
            check_value(name, value)
        except ValueError as error:
            raise UserError(str(error), "Give an allowed value.") from error
        if not possible(varied[name], value):
            raise UserError(
                f"{name}={value} lies outside the space of {study.name}",
                f"Allowed: {_allowed(varied[name])}.",
            )
    fixed = {name: each.value for name, each in varied.items() if isinstance(each, Fixed)}
    values = {**DEFAULTS, **study.trial, **fixed, **settings}
    point = study.space.locate(values)
    if point is None or settings.keys() - point.keys():
        raise _misplaced(study, settings, values)
    if complaint := study.feasible.complaint(point):
        raise UserError(f"the point violates a requirement: {complaint}", "Choose other values.")
    try:
        config = study.space.trial_config(study.trial, point)
        study.check_mix(config)
    except ValueError as error:
        raise UserError(str(error), "Choose other values.") from error
    return point


def check_enqueued_fit(study: StudyConfig) -> None:
    """Refuse a study that ends before its enqueued points were tried.

    Raises:
        UserError: budget.trials is too small.
    """
    first = len(study.enqueue) + (study.baseline is not None)
    if study.budget.trials is not None and study.budget.trials < first:
        raise UserError(
            f"budget.trials is {study.budget.trials}, and the baseline and the enqueued points are "
            f"{first} trials",
            f"Enqueue fewer, or --set budget.trials={first}",
        )


def _misplaced(
    study: StudyConfig, settings: Mapping[str, Any], values: Mapping[str, Any]
) -> UserError:
    """Return the error of settings that are each allowed, but together are no point."""
    varied = study.space.root
    needed = study.space.sample(lambda name, distribution: values[name])
    for name in settings.keys() - needed.keys():
        when = varied[name].when.items()
        holds = " and ".join(f"{other} {' or '.join(map(str, own))}" for other, own in when)
        return UserError(
            f"{name}={settings[name]} applies only with {holds}", "Give these, or leave it out."
        )
    lacking = [name for name in needed if not possible(varied[name], values[name])]
    return UserError(
        f"these settings leave out {', '.join(lacking)}, and no value in `trial:` and no default "
        f"lies in the space of {study.name}",
        f"Give also {'; '.join(f'{name}: {_allowed(varied[name])}' for name in lacking)}.",
    )


def _allowed(distribution: Distribution) -> str:
    """Describe the values of a parameter, for example `a number from 0 to 1 in steps of 0.25`."""
    match distribution:
        case Float(low=low, high=high, step=step):
            steps = "" if step is None else f" in steps of {step:g}"
            return f"a number from {low:g} to {high:g}{steps}"
        case Int(low=low, high=high, step=step):
            return f"a whole number from {low} to {high}" + (f" in steps of {step}" * (step > 1))
        case PowerOfTwo(low=low, high=high):
            return f"a power of two from {low} to {high}"
        case Choice(values=values):
            return ", ".join(map(str, values))
        case Fixed(value=value):
            return str(value)
