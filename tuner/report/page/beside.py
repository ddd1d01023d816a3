"""The family of a search: its confirmations and its external reference."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.blocks import HTML, Block, Commands, Link
from tuner.errors import UserError
from tuner.invocation import lasting_command
from tuner.journal.journal import read_history, studies_in
from tuner.journal.records import StudyRecord
from tuner.storage.access import listed
from tuner.storage.folders import Place
from tuner.study.design import REFERENCE, ConfirmDesign, ScalingDesign

SUFFIXES = ("-confirm", "-reference")
"""Suffixes of the names of a search's siblings; a number may follow."""


@dataclass(frozen=True)
class RelatedStudies:
    """A search, and those studies made from it that are in the same folder.

    Attributes:
        search: the search; None where it is missing, or the reported study has no family.
        confirmation: the newest confirmation with a recommendation.
        reference: the newest external reference with a recommendation.
        tested: confirmations that have read test, the oldest first.
        unread: a sentence for each sibling that could not be read, with the reason.
    """

    search: StudyRecord | None = None
    confirmation: StudyRecord | None = None
    reference: StudyRecord | None = None
    tested: tuple[StudyRecord, ...] = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def of(cls, study: StudyRecord, folder: Place) -> RelatedStudies:
        """Return the family of a search, a confirmation or a reference; empty for others."""
        design = study.settings.design
        if isinstance(design, ScalingDesign):
            return cls()
        identity = study.id if design is None else design.study
        search = study if design is None else None
        stem = study.name
        if design is not None:
            stem = next((study.name.rpartition(s)[0] for s in SUFFIXES if s in study.name), "")
        found: dict[bool, StudyRecord] = {}
        tested: list[StudyRecord] = []
        unread: list[str] = []
        for place in _siblings(stem, folder):
            try:
                record = study if place.name == study.name else read_history(place).record()
            except UserError as error:  # this page does without the sibling
                unread.append(f"{place.name} cannot be read: {error.problem}.")
                continue
            own = record.settings.design
            if record.id == identity:
                search = record
            elif isinstance(own, ConfirmDesign) and own.study == identity:
                is_reference = own.arms[0].name == REFERENCE
                older = found.get(is_reference)
                newer = older is None or record.created > older.created
                if record.recommendation is not None and newer:
                    found[is_reference] = record
                if first_test(record) is not None and not is_reference:
                    tested.append(record)
        tested.sort(key=lambda record: record.created)
        return cls(search, found.get(False), found.get(True), tuple(tested), tuple(unread))


def first_test(study: StudyRecord) -> float | None:
    """Return when a study's trials first read test, as Unix time in seconds."""
    return min((on_test.time for trial in study.trials for on_test in trial.tests), default=None)


def to_page(text: str, study: StudyRecord, folder: Place) -> Block:
    """Return a link to a sibling's page, or the command that writes a missing one.

    Args:
        text: the text of the link.
        study: the sibling.
        folder: the folder of the study whose page gets the link.
    """
    sibling = folder.parent / study.name
    if HTML in listed(sibling):
        return Link(text, study.name)
    return Commands(f"{text}, written by:", (lasting_command("report", sibling),))


def _siblings(stem: str, folder: Place) -> list[Place]:
    """Return the folders of a search and of the studies named after it."""
    named = tuple(stem + suffix for suffix in SUFFIXES)
    return [
        place
        for place in studies_in(folder.parent)
        if stem and (place.name == stem or place.name.startswith(named))
    ]
