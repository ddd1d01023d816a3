"""A journal that several machines can reach: numbered files, each created once, by one driver.

A record is a file of its own, `journal/000000000042.json`, never changed. That it can be created
once is what tells drivers apart in the end: one that slept over its lease, and wakes up, finds its
next number taken and writes no more.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tuner.errors import StorageFull, UserError
from tuner.journal.lease import Lease, overtaken
from tuner.storage.access import create, listed, read, remove
from tuner.storage.folders import Place

FOLDER = "journal"
_NAME = re.compile(r"\d{12}\.json")


class Segments:
    """The files, open for writing.

    Args:
        folder: the study's own.
        lease: held by this driver.
    """

    def __init__(self, folder: Place, lease: Lease) -> None:
        self._folder = folder
        self._lease = lease
        self._failed: UserError | None = None

    def records(self) -> list[bytes]:
        """All there are; the last may be damaged."""
        return read_segments(self._folder)

    def keep(self, records: list[bytes]) -> None:
        """Remove those after these, the last one first: their numbers are free again."""
        for name, _ in reversed(version(self._folder)[len(records) :]):
            remove(self._folder / FOLDER / name)

    def append(self, number: int, record: bytes) -> None:
        """Create the file of a record.

        Raises:
            StorageFull: no space is left.
            UserError: another driver has taken over, or nobody knows whether one has, or the
                storage cannot be written to. From then on nothing is written.
        """
        if self._failed is not None:
            raise self._failed
        try:
            self._lease.check()
            if not create(_segment(self._folder, number), record):
                raise overtaken(self._folder)
        except StorageFull:
            raise
        except UserError as error:  # it may have been written, and only the answer was lost
            self._failed = error
            raise

    def close(self) -> None:
        """Give the lease back."""
        self._lease.release()


def create_segments(folder: Place, record: bytes) -> bool:
    """Begin a journal; False where there is one."""
    return create(_segment(folder, 0), record)


def read_segments(folder: Place) -> list[bytes]:
    """The records, also while another process writes some; the last may be damaged.

    Raises:
        UserError: one is missing, or they cannot be read.
    """
    tags = version(folder)
    if [name for name, _ in tags] != [_name(number) for number in range(len(tags))]:
        tags = version(folder)  # on NFS, what is created meanwhile may be listed in part
    known = _known(folder)
    new = [name for name, tag in tags if known.get(name, ("",))[0] != tag]
    contents = read(folder / FOLDER, new)
    known.update({name: (tag, contents[name]) for name, tag in tags if name in contents})
    for number, (name, _) in enumerate(tags):
        if name != _name(number):
            raise UserError(
                f"the journal in {folder} has no record {number + 1}: {_name(number)} is missing",
                "Restore the file from a backup; the records before it are sound.",
            )
    return [known[name][1] for name, _ in tags]


def version(folder: Place) -> tuple[tuple[str, str], ...]:
    """Names and tags of all records, in order: the same where nothing was written."""
    found = listed(folder / FOLDER).items()
    return tuple(sorted(item for item in found if _NAME.fullmatch(item[0])))


@lru_cache(maxsize=1)
def _known(folder: Place) -> dict[str, tuple[str, bytes]]:
    """By name, tag and content of what was read before: a study that is watched is read often."""
    return {}


def _segment(folder: Place, number: int) -> Place:
    return folder / FOLDER / _name(number)


def _name(number: int) -> str:
    return f"{number:012d}.json"
