"""Studies that belong together: a search, its confirmation, its external reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuner.invocation import command
from tuner.records import StudyRecord
from tuner.report.page.blocks import Block, Commands, Link
from tuner.report.page.render import HTML
from tuner.search.journal import read_history, studies_in
from tuner.storage.access import listed
from tuner.storage.folders import Place
from tuner.study.design import REFERENCE

SUFFIXES = ("-confirm", "-reference")
"""What the names of a search's siblings go on with; a number may follow."""


@dataclass(frozen=True)
class Family:
    """A search and what was made from it, as far as they stand in the same folder.

    Attributes:
        search: None where it is not there, or what is reported is none of these.
        confirmation: the newest that has come to a recommendation.
        reference: the newest that has, likewise.
    """

    search: StudyRecord | None = None
    confirmation: StudyRecord | None = None
    reference: StudyRecord | None = None

    @classmethod
    def of(cls, study: StudyRecord, folder: Place) -> Family:
        """The family of a search, a confirmation or a reference. Others have none."""
        design = study.settings.get("design")
        if design is not None and design["kind"] != "confirm":
            return cls()
        identity = study.id if design is None else design["study"]
        search = study if design is None else None
        stem = study.name
        if design is not None:
            stem = next((study.name.rpartition(s)[0] for s in SUFFIXES if s in study.name), "")
        found: dict[bool, StudyRecord] = {}
        for record in _siblings(stem, study, folder):
            block = record.settings.get("design")
            if record.id == identity:
                search = record
            elif block and block["kind"] == "confirm" and block["study"] == identity:
                is_reference = block["arms"][0]["name"] == REFERENCE
                older = found.get(is_reference)
                newer = older is None or record.created > older.created
                if record.recommendation is not None and newer:
                    found[is_reference] = record
        return cls(search, found.get(False), found.get(True))


def to_page(text: str, study: StudyRecord, folder: Place) -> Block:
    """A link to a sibling's page, or the command that writes it where it is not there yet.

    Args:
        text: what it shows.
        study: the sibling.
        folder: of the study whose page it stands on.
    """
    sibling = folder.parent / study.name
    if HTML in listed(sibling):
        return Link(text, study.name)
    return Commands(f"{text}, written by:", (command("report", sibling),))


def _siblings(stem: str, study: StudyRecord, folder: Place) -> Iterator[StudyRecord]:
    if not stem:
        return
    for place in studies_in(folder.parent):
        if place.name == study.name:
            yield study
        elif place.name == stem or place.name.startswith(tuple(stem + s for s in SUFFIXES)):
            yield read_history(place).record()
