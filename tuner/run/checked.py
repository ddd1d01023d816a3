"""The early checks of a study, which read only files and run before torch and Ray are loaded.

All commands share them. They report a wrong path, column, label, language or layer within a second
or two.
"""

from __future__ import annotations

from collections.abc import Callable

from tuner.data.sources import look
from tuner.model.fetching import HubAway
from tuner.model.shape import EncoderShape, check_encoder
from tuner.study import StudyConfig
from tuner.study.roles import trained_on


def check_study(
    study: StudyConfig, tell: Callable[[str], None] | None = None
) -> EncoderShape | None:
    """Check the first rows of the data and the encoder's files, and that they fit the study.

    Args:
        study: the study's settings.
        tell: called with a warning if the encoder is not on this machine and the hub does not
            answer, for a command that can do without the encoder; None if the command needs it.

    Returns:
        The encoder's shape; None if `tell` was called.

    Raises:
        UserError: data or encoder are missing or broken, or do not fit the study.
    """
    check_data(study)
    return check_encoder(study) if tell is None else encoder_unless_away(study, tell)


def encoder_unless_away(study: StudyConfig, tell: Callable[[str], None]) -> EncoderShape | None:
    """Check the encoder; return None if only the hub has it and the hub does not answer.

    Raises:
        UserError: the encoder is missing or broken, or does not fit the study.
    """
    try:
        return check_encoder(study)
    except HubAway as error:
        tell(f"layers and disk space were not checked: {error.problem}")
        return None


def check_data(study: StudyConfig) -> None:
    """Check the first rows of every table: files, columns, languages and labels.

    Raises:
        UserError: raised by `tuner.data.sources.look`.
    """
    look(study.data, study.all_languages, trained_on(study.languages, study.protocol))
