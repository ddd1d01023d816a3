"""The journal: an append-only log of JSON records with one writer, the only truth about a study.

On a local disk it is one file, and its writer holds the file's lock. On a storage that other
machines can write to, it is numbered files, and its writer holds a lease. A study copied from one
to the other can be read in either place.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tuner.errors import UserError
from tuner.invocation import ADDRESS_VARIABLE, READER, command
from tuner.journal import lease, segments
from tuner.journal.events import Event, StudyCreated
from tuner.journal.file import (
    FILE,
    JournalFile,
    create_file,
    is_locked,
    lines,
    read_file,
)
from tuner.journal.format import decode, encode
from tuner.journal.history import History
from tuner.progress import Progress
from tuner.storage.access import listed, probe, reaching, read
from tuner.storage.folders import Place
from tuner.storage.location import is_shared


class Journal:
    """The journal of one study, open for writing; use as a context manager.

    Args:
        folder: the study's folder.
        progress: shows the wait for the lease of another driver, which may have died. Without it,
            the constructor does not wait.

    Attributes:
        history: the events written so far, folded.

    Raises:
        UserError: there is no study, another process is writing it, or a record is damaged.
    """

    def __init__(self, folder: Place, progress: Progress | None = None) -> None:
        self._records = _opened(folder, progress)
        try:
            records = self._records.records()
            self.history, self._number = decode(records, folder)
            if self._number < len(records):
                self._records.keep(records[: self._number])
        except BaseException:
            self._records.close()
            raise

    @classmethod
    def create(cls, folder: Place, created: StudyCreated) -> Self:
        """Create the journal of a new study with its first record, or not at all.

        Raises:
            UserError: a study of that name exists, or the storage cannot be used.
        """
        record = encode(0, created)
        if isinstance(folder, Path) and not is_shared(folder):
            began = create_file(folder, record)
        else:
            began = _kind(folder) is None and segments.create_segments(folder, record)
        if not began:
            raise exists(folder)
        return cls(folder)

    def append(self, event: Event) -> None:
        """Write an event durably, then fold it into `history`.

        Raises:
            StorageFull: no space is left; no part of the record stays.
            UserError: the record cannot be written, or another driver has taken over.
        """
        self._records.append(self._number, encode(self._number, event))
        self._number += 1
        self.history.apply(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._records.close()


def check_free(folder: Place) -> None:
    """Refuse a new study whose name is taken, or whose storage cannot be used.

    Raises:
        StudyExists: there is a study in the folder.
        UserError: the storage is not writable, or a file has the folder's path.
    """
    if _kind(folder) is not None:
        raise exists(folder)
    if not isinstance(folder, Path):
        probe(folder.parent)
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise UserError(
            f"{there} is a file, so the study's folder {folder} cannot be created",
            "Choose another folder, with --set storage=FOLDER, or another name.",
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"{there} is not writable, so the study's folder {folder} cannot be created",
            "Choose another folder, with --set storage=FOLDER, or make it writable.",
        )


def is_begun(folder: Place) -> bool:
    """Return whether a folder holds a study."""
    return _kind(folder) is not None


class StudyExists(UserError):
    """A study of that name already exists."""


def exists(folder: Place) -> StudyExists:
    """Return the error for a name that is taken."""
    return StudyExists(
        f"study {folder.name} already exists in {folder.parent}",
        f"Resume it with `{command('resume', folder)}`, or choose another name: "
        f"--set name={folder.name}-2",
    )


def being_written(folder: Place) -> bool:
    """Return whether a driver works on the study: it holds the file's lock or the lease."""
    match _kind(folder):
        case "file":
            return isinstance(folder, Path) and is_locked(folder)
        case "segments":
            return lease.at_work(folder)
        case None:
            return False


def studies_in(storage: Place) -> list[Place]:
    """Return the folders of all studies in a storage, sorted by name."""
    found: list[Place] = []
    for name in sorted(listed(storage)):
        with suppress(UserError):  # not readable, such as a disk's lost+found
            if not name.startswith(".") and _kind(storage / name) is not None:
                found.append(storage / name)
    return found


def read_history(folder: Place) -> History:
    """Read a study from its journal alone, even while another process writes it.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    return decode(read_records(folder), folder)[0]


def read_records(folder: Place, since: int = 0, start: int = 0) -> list[bytes]:
    """Read a study's records, even while another process writes some; the last may be torn.

    Args:
        folder: the study's folder.
        since: the number of a record; those between the first one and it are left out.
        start: where it begins in the journal's file, in bytes.

    Raises:
        UserError: there is no study, or the journal cannot be read or is shorter.
    """
    _check_no_links(folder)
    match _kind(folder):
        case "file" if isinstance(folder, Path):
            return read_file(folder, start)
        case "file":
            content = read(folder, [FILE])[FILE]
            return lines(content) if not start else [*lines(content)[:1], *lines(content[start:])]
        case "segments":
            return segments.read_segments(folder, since)
        case None:
            raise _missing(folder)


def _kind(folder: Place) -> Literal["file", "segments"] | None:
    """Return the kind of journal in a folder; None if there is none."""
    names = listed(folder)
    if FILE in names:
        return "file"
    return "segments" if segments.FOLDER in names else None


def _check_no_links(folder: Place) -> None:
    """Refuse a study whose folder holds a link: writes and removals would happen elsewhere.

    Raises:
        UserError: there is a link in the folder.
    """
    if not isinstance(folder, Path) or not folder.is_dir():
        return
    with reaching(folder):
        for path in folder.iterdir():
            if path.is_symlink():
                raise UserError(
                    f"{path} is a link, but a study keeps all its files in its own folder",
                    "Replace the link with what it points to, or remove it.",
                )


def _opened(folder: Place, progress: Progress | None) -> JournalFile | segments.Segments:
    _check_no_links(folder)
    match _kind(folder):
        case None:
            raise _missing(folder)
        case "segments":
            return segments.Segments(folder, lease.Lease(folder, progress))
        case "file":
            if not isinstance(folder, Path) or is_shared(folder):
                raise UserError(
                    f"the journal in {folder} is one file, which is safe only on a local disk: "
                    "other machines can write to this folder too",
                    "Copy the study's folder to a local disk, and resume the study there.",
                )
            return JournalFile(folder)


def _missing(folder: Place) -> UserError:
    known = [found.name for found in studies_in(folder.parent)]
    address = None if READER in os.environ else os.environ.get(ADDRESS_VARIABLE)
    return UserError(
        f"there is no study {folder.name} in {folder.parent.absolute()}",
        (f"Known there: {', '.join(known)}." if known else "There are no studies there.")
        + " Studies elsewhere: --storage FOLDER"
        + (f"; on the cluster: --address {address}." if address else "."),
    )
