"""A journal that several machines can reach: numbered files, each created once, by one driver.

Each record is a file of its own, `journal/000000000042.json`, which never changes. A file can be
created only once, and this finally separates drivers: one that wakes up after its lease has expired
finds its next number taken and stops writing.
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
    """The numbered files of a journal, open for writing.

    Args:
        folder: the study's folder.
        lease: this driver's lease on the study.
    """

    def __init__(self, folder: Place, lease: Lease) -> None:
        self._folder = folder
        self._lease = lease
        self._failed: UserError | None = None

    def records(self) -> list[bytes]:
        """Return all records; the last may be damaged."""
        return read_segments(self._folder)

    def keep(self, records: list[bytes]) -> None:
        """Remove all records after these, the last one first; their numbers become free again."""
        for name, _ in reversed(version(self._folder)[len(records) :]):
            remove(self._folder / FOLDER / name)

    def append(self, number: int, record: bytes) -> None:
        """Create the file of a record.

        Raises:
            StorageFull: no space is left.
            UserError: another driver has taken over or may have, or the storage cannot be written
                to. Every later call raises it again.
        """
        if self._failed is not None:
            raise self._failed
        try:
            self._lease.check()
            if not create(_segment(self._folder, number), record):
                raise overtaken(self._folder)
        except StorageFull:
            raise
        except UserError as error:  # the record may be written, with only the answer lost
            self._failed = error
            raise

    def close(self) -> None:
        """Release the lease."""
        self._lease.release()


def create_segments(folder: Place, record: bytes) -> bool:
    """Create a journal with its first record; return False if a journal exists."""
    return create(_segment(folder, 0), record)


def read_segments(folder: Place, since: int = 0) -> list[bytes]:
    """Read all records, even while another process writes some; the last may be damaged.

    Args:
        folder: the study's folder.
        since: the number of a record; those between the first one and it are left out.

    Raises:
        UserError: a record is missing or cannot be read.
    """
    tags = version(folder)
    if [name for name, _ in tags] != [_name(number) for number in range(len(tags))]:
        tags = version(folder)  # on NFS, a listing may miss some of the files created meanwhile
    asked = tags[:1] + tags[since:] if since else tags
    known = _known(folder)
    new = [name for name, tag in asked if known.get(name, ("",))[0] != tag]
    contents = read(folder / FOLDER, new)
    known.update({name: (tag, contents[name]) for name, tag in asked if name in contents})
    for number, (name, _) in enumerate(tags):
        if name != _name(number):
            raise UserError(
                f"the journal in {folder} has no record {number + 1}: {_name(number)} is missing",
                "Restore the file from a backup; the records before it are intact.",
            )
    return [known[name][1] for name, _ in asked]


def version(folder: Place) -> tuple[tuple[str, str], ...]:
    """Return names and tags of all records, in order; they change only if something is written."""
    found = listed(folder / FOLDER).items()
    return tuple(sorted(item for item in found if _NAME.fullmatch(item[0])))


@lru_cache(maxsize=1)
def _known(folder: Place) -> dict[str, tuple[str, bytes]]:
    """Return a cache of the tag and content of each record read, by name, for watched studies."""
    return {}


def _segment(folder: Place, number: int) -> Place:
    return folder / FOLDER / _name(number)


def _name(number: int) -> str:
    return f"{number:012d}.json"
