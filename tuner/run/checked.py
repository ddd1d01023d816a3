"""What files alone tell of a study: checked before torch and Ray are loaded, in all commands alike.

A wrong path, column, label, language or layer is told within a second or two.
"""

from __future__ import annotations

from collections.abc import Callable

from tuner.data.sources import look
from tuner.model.fetching import HubAway
from tuner.model.shape import EncoderShape, check_encoder
from tuner.study import StudyConfig, trained_on


def check_study(
    study: StudyConfig, tell: Callable[[str], None] | None = None
) -> EncoderShape | None:
    """Check the data's head and the encoder's files, and that they fit the study.

    Args:
        study: its settings.
        tell: called where the hub does not answer and the encoder is not here, for a command that
            can do without it; None: it cannot.

    Returns:
        The encoder's shape; None where `tell` was called.

    Raises:
        UserError: something is missing or broken, or does not fit.
    """
    check_data(study)
    return check_encoder(study) if tell is None else encoder_unless_away(study, tell)


def encoder_unless_away(study: StudyConfig, tell: Callable[[str], None]) -> EncoderShape | None:
    """Check the encoder, unless only the hub could show it and does not answer.

    Raises:
        UserError: it is missing or broken, or does not fit.
    """
    try:
        return check_encoder(study)
    except HubAway as error:
        tell(f"layers and disk space are not checked: {error.problem}")
        return None


def check_data(study: StudyConfig) -> None:
    """Check the first rows of every table: files, columns, languages and labels.

    Raises:
        UserError: as `tuner.data.sources.look`.
    """
    look(study.data, study.all_languages, trained_on(study.languages, study.protocol))
