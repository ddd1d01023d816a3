"""Points of a space that a user gives: enqueued in the study's file, or added while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.errors import UserError
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
    values = {**DEFAULTS, **study.trial, **settings}
    point = study.space.locate(values)
    if point is None or settings.keys() - point.keys():
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        raise UserError(
            f"{shown}: not a point of the space of {study.name}",
            "Choose values in the ranges of `space:`, whose conditions hold; a setting that is "
            "left out has its value from `trial:`, or its default.",
        )
    if complaint := study.feasible.complaint(point):
        raise UserError(f"the point violates a requirement: {complaint}", "Choose other values.")
    try:
        config = study.space.trial_config(study.trial, point)
        study.check_mix(config)
    except ValueError as error:
        raise UserError(str(error), "Choose other values.") from error
    return point
