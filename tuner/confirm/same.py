"""Checks that a confirmation or reference belongs to its search, with the same data and encoder."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import UserError
from tuner.journal.facts import DataFacts, StudyFacts
from tuner.journal.records import StudyRecord
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign

SPLITS = ("train", "dev", "test")


def check_same(was: StudyFacts, found: StudyFacts, splits: Sequence[str] = SPLITS) -> None:
    """Refuse to compare studies with different data or different encoders.

    Args:
        was: facts of the earlier study to compare with.
        found: facts of the study that is about to begin.
        splits: the splits that must be the same.

    Raises:
        UserError: the data of these splits or the encoder has changed.
    """
    changed = _changed(was.data, found.data, splits)
    what = [f"the data ({', '.join(changed)})"] if changed else []
    if was.encoder.checksum != found.encoder.checksum:
        what.append("the encoder")
    if what:
        raise UserError(
            f"{' and '.join(what)} {'has' if len(what) == 1 else 'have'} changed since the search "
            "began: the new trials would not be comparable with the earlier ones",
            "Restore what has changed, or begin a new search under another name.",
        )


def _changed(was: DataFacts, found: DataFacts, splits: Sequence[str]) -> list[str]:
    if not was.splits:  # begun with an earlier version: one checksum, of all splits
        return [] if was.checksum == found.checksum else list(splits)
    return [split for split in splits if was.splits.get(split) != found.splits.get(split)]


def check_own(planned: StudyConfig, there: StudyRecord, search: StudyRecord) -> None:
    """Refuse to resume a study that is not the requested external reference.

    Args:
        planned: the requested reference.
        there: record of the existing study with its name.
        search: record of the search that it belongs to.

    Raises:
        UserError: the existing study is another one, or has different seeds.
    """
    assert isinstance(planned.design, ConfirmDesign)
    design, asked = there.settings.design, [arm.name for arm in planned.design.arms]
    if (
        not isinstance(design, ConfirmDesign)
        or design.study != search.id
        or [arm.name for arm in design.arms] != asked
    ):
        raise UserError(
            f"{there.name} is not an external reference of this study {search.name}",
            "Move it to another folder, or leave --reference out.",
        )
    if design.seeds != planned.design.seeds:
        raise UserError(
            f"{there.name} was started with seeds that differ from those of the confirmation",
            "Move it to another folder, or leave --reference out.",
        )
