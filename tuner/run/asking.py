"""The requests of users to a study's driver: they are checked here, and go to its inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuner.errors import UserError
from tuner.invocation import command
from tuner.journal.inbox import AddTrial, Request, StopTrial, send, waiting
from tuner.journal.journal import being_written, read_history
from tuner.journal.records import StudyRecord
from tuner.run.requests import EVERY_SECONDS
from tuner.search.requested import addable, check_stoppable
from tuner.storage.folders import Place
from tuner.study.file import reopened_study
from tuner.study.plain_yaml import parse

BY_HAND = "A choice by hand is part of the search: reports and claims say so."


def ask_to_add(folder: Place, settings: Sequence[str]) -> str:
    """Ask a study's driver to train a point of the space.

    Args:
        folder: the study's folder.
        settings: `key=value` by dotted name; values are YAML.

    Returns:
        What happens next, in words.

    Raises:
        UserError: there is no such study, it does not go on, or the point is not one of its space.
    """
    record = read_history(folder).record()
    study = reopened_study(record.settings, folder)
    point = addable(study, record.trials, dict(map(_setting, settings))).params
    asked = [each for each in waiting(folder).values() if isinstance(each, AddTrial)]
    if len(record.trials) + len(asked) >= study.trials:
        raise UserError(
            f"all {study.trials} trials of {study.name} have begun or are asked for",
            f"More trials, once it has ended: {command('resume', folder)} --trials +8",
        )
    return _sent(folder, record, AddTrial(params=point))


def ask_to_stop(folder: Place, number: int) -> str:
    """Ask a study's driver to stop a trial for good.

    Returns:
        What happens next, in words.

    Raises:
        UserError: there is no such study or trial, or the trial has ended.
    """
    record = read_history(folder).record()
    check_stoppable(reopened_study(record.settings, folder), record.trials, number)
    return _sent(folder, record, StopTrial(number=number))


def _sent(folder: Place, record: StudyRecord, request: Request) -> str:
    if request in waiting(folder).values():
        raise UserError(
            f"{record.name} is asked for {request.in_words()} already",
            f"Its driver acts on it: {command('status', folder)}",
        )
    if record.state == "completed":
        raise UserError(
            f"{record.name} is complete, and no driver will act on it",
            f"Continue it with more trials first: {command('resume', folder)} --trials +8",
        )
    send(folder, request)
    if being_written(folder):
        follows = f"The study's driver acts on it within {EVERY_SECONDS:.0f} s or at its next step."
    else:
        follows = f"No driver works on the study: {command('resume', folder)} acts on it."
    return f"{record.name} is asked for {request.in_words()}. {follows}\n{BY_HAND}"


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise UserError(
            f"a setting is key=value, got {text!r}", "For instance: mix.cross_lingual=0.5"
        )
    return name.strip(), parse(value, name.strip())
