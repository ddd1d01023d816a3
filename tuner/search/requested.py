"""The rules for users' requests, before they are sent and again when a driver carries them out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.records import END_STATES, TrialRecord
from tuner.search.proposer import Proposal
from tuner.study import StudyConfig
from tuner.study.given import given_point


def addable(
    study: StudyConfig, trials: Collection[TrialRecord], settings: Mapping[str, Any]
) -> Proposal:
    """Return a user's trial.

    Raises:
        UserError: it lies outside the space or was tried before, or the study has all its trials.
    """
    point = given_point(study, settings)
    config = study.space.trial_config(study.trial, point)
    for trial in trials:
        if trial.config == config:
            raise UserError(
                f"trial {trial.number:03d} of {study.name} has these settings: {trial.state}",
                "Choose others; for a replicate, vary the seed in the space.",
            )
    if len(trials) >= study.trials:
        raise UserError(
            f"all {study.trials} trials of {study.name} have begun",
            f"More trials: {command('resume', study.folder)} --trials +8",
        )
    return Proposal("added", point, config)


def check_stoppable(study: StudyConfig, trials: Sequence[TrialRecord], number: int) -> None:
    """Refuse to stop a trial that is unknown or has ended, and the control.

    Raises:
        UserError: it is.
    """
    if number >= len(trials):
        raise UserError(
            f"{study.name} has no trial {number}: it has {len(trials)} so far",
            f"Its trials: {command('status', study.folder)}",
        )
    trial = trials[number]
    if trial.origin == "baseline":
        raise UserError(
            f"trial {number} of {study.name} is its control, with which all others are compared",
            "Let it run to its end.",
        )
    if trial.state in END_STATES:
        raise UserError(
            f"trial {number} of {study.name} has ended: {trial.state}, {trial.reason}",
            "Name a trial that runs, waits or has paused.",
        )
