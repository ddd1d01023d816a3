"""The register of test readings: which studies of a storage have read a test set.

Whoever has seen test scores may choose by them, whatever the next study is called. So each study
that reads test leaves a file in the storage, named by the study's id and never changed. It holds
the checksums of the items that were read, by which they are recognised under any name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from tuner.errors import UserError
from tuner.journal.events import TestOpened
from tuner.journal.records import StudyRecord
from tuner.storage.access import create, listed, read
from tuner.storage.folders import Place
from tuner.study.scores import Record
from tuner.timing import now
from tuner.wording import count

FOLDER = ".test-readings"
"""The register's folder in a storage; no study can have this name."""


class Reading(Record):
    """A study's reading of test.

    Attributes:
        study, id: the study's name and its unique id.
        time: Unix time in seconds, just before the first reading.
        items: for each language, the SHA-256 of its test items.
    """

    study: str
    id: str
    time: float
    items: dict[str, str]

    def in_words(self) -> str:
        """Name the study and the day (UTC)."""
        return f"{self.study} on {datetime.fromtimestamp(self.time, UTC):%Y-%m-%d}"


def register(storage: Place, reading: Reading) -> None:
    """Record a study's reading, before it reads; the first record of a study stays.

    Raises:
        UserError: the storage cannot be used.
    """
    create(storage / FOLDER / _name(reading.id), reading.model_dump_json().encode())


def earlier(storage: Place, items: Mapping[str, str], own: str = "") -> list[Reading]:
    """Return the readings of any of these items by other studies, the earliest first.

    Args:
        storage: the storage.
        items: for each language, the checksum of its test items.
        own: id of the study that asks.

    Raises:
        UserError: the storage cannot be used, or a record in it cannot be read.
    """
    names = [name for name in listed(storage / FOLDER) if name.endswith(".json")]
    found = []
    for name, content in read(storage / FOLDER, names).items():
        try:
            reading = Reading.model_validate_json(content)
        except ValidationError as error:
            raise UserError(
                f"{storage / FOLDER / name} is damaged or of a later version, so it is unknown "
                "which test was read",
                "Restore it from a backup, or remove it if no test was read.",
            ) from error
        if reading.id != own and {*reading.items.values()} & {*items.values()}:
            found.append(reading)
    return sorted(found, key=lambda reading: (reading.time, reading.study))


def read_before(readings: list[Reading]) -> str:
    """Say how often a test was read before, and by which studies; empty if never."""
    if not readings:
        return ""
    times = count(len(readings), "time")
    return f"this test was read {times} before: {', '.join(each.in_words() for each in readings)}"


def opening(storage: Place, study: StudyRecord) -> TestOpened | None:
    """Register that a study is about to read test; return the event that says who has read it.

    The result is None if the journal has that event, or an older version began the study, which
    did not record what its test items are.

    Raises:
        UserError: the storage cannot be used.
    """
    items = study.facts.data.test_items
    if study.read_before is not None or not items:
        return None
    found = earlier(storage, items, study.id)
    register(storage, Reading(study=study.name, id=study.id, time=now(), items=items))
    return TestOpened(time=now(), before=tuple(each.in_words() for each in found))


def _name(id_: str) -> str:
    return f"{hashlib.sha256(id_.encode()).hexdigest()[:32]}.json"
