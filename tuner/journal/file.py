"""A journal on a local disk: one file with one record per line, and its lock."""

from __future__ import annotations

import fcntl
import os
import stat
import time
import uuid
from pathlib import Path

from tuner.errors import UserError
from tuner.invocation import command
from tuner.storage.access import reaching
from tuner.storage.folders import sync

FILE = "journal.jsonl"
LARGEST = 2**30
"""The largest journal in bytes that is read: some 100,000 trials."""
PATIENCE = 0.5
"""Seconds that a writer waits for the lock; `is_locked` holds it only for a moment."""


class JournalFile:
    """A journal file open for writing; this process holds its lock until `close`.

    Raises:
        UserError: another process holds the lock, or the file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failed: UserError | None = None
        _check_plain(folder)
        with reaching(folder / FILE):
            self._file = open(folder / FILE, "r+b", buffering=0)  # noqa: SIM115 (`close` does)
        if not _locked(self._file.fileno()):
            self._file.close()
            raise UserError(
                f"another process is working on study {folder.name}",
                f"Watch it with `{command('status', folder)} --watch`. When it has ended, or you "
                "have stopped it with Ctrl-C, run this command again.",
            )

    def records(self) -> list[bytes]:
        """Return all records; the last may be torn."""
        with reaching(self._folder / FILE):
            self._file.seek(0)
            return lines(self._file.read())

    def keep(self, records: list[bytes]) -> None:
        """Truncate the file after these records."""
        with reaching(self._folder / FILE):
            self._file.truncate(sum(map(len, records)))
            self._file.seek(0, os.SEEK_END)

    def append(self, number: int, record: bytes) -> None:
        """Write a record to the disk, whole or not at all.

        Raises:
            StorageFull: no space is left.
            UserError: the file cannot be written.
        """
        if self._failed is not None:
            raise self._failed
        start = self._file.tell()
        try:
            with reaching(self._folder):
                _write(self._file.fileno(), record)
        except BaseException:
            self._cut_off(start)
            raise

    def _cut_off(self, end: int) -> None:
        try:
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:  # the torn record stays, and no record may follow it
            self._failed = UserError(
                f"{self._folder / FILE} cannot be written: {error.strerror}",
                f"Make it writable again, then run: {command('resume', self._folder)}",
            )

    def close(self) -> None:
        """Close the file and release its lock."""
        self._file.close()


def create_file(folder: Path, record: bytes) -> bool:
    """Create a journal: the folder appears with its first record, or not at all.

    Returns:
        False if the folder exists and is not empty.
    """
    staged = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    with reaching(folder):
        staged.mkdir(parents=True)
        try:
            (staged / FILE).write_bytes(record)
            sync(staged / FILE)
            sync(staged)
            try:
                staged.rename(folder)  # refuses a folder that is not empty
            except OSError:
                if os.path.lexists(folder):
                    return False
                raise
            sync(folder.parent)
            return True
        finally:
            (staged / FILE).unlink(missing_ok=True)
            if staged.exists():
                staged.rmdir()


def read_file(folder: Path, start: int = 0) -> list[bytes]:
    """Read the records of a file, even while another process writes it; the last may be torn.

    Args:
        folder: the study's folder.
        start: where a later record begins, in bytes; the records between the first and it are left
            out.

    Raises:
        UserError: the file cannot be read.
    """
    _check_plain(folder)
    with reaching(folder / FILE), open(folder / FILE, "rb") as file:
        first = [file.readline()] if start else []
        file.seek(start)
        return [*first, *lines(file.read())]


def lines(content: bytes) -> list[bytes]:
    """Split bytes after each newline byte and nowhere else."""
    *whole, rest = content.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def is_locked(folder: Path) -> bool:
    """Return whether a process has the journal open for writing."""
    _check_plain(folder)
    with reaching(folder / FILE), open(folder / FILE, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _locked(descriptor: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(PATIENCE / 10)
        else:
            return True


def _write(descriptor: int, content: bytes) -> None:
    while content:  # `os.write` may write only a part
        content = content[os.write(descriptor, content) :]
    os.fsync(descriptor)


def _check_plain(folder: Path) -> None:
    """Refuse a link, pipe, folder or huge file: reading it could do harm or never end."""
    path = folder / FILE
    with reaching(path):
        found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not a regular file", "Restore the journal from a backup.")
    if found.st_size > LARGEST:
        raise UserError(f"{path} is larger than any journal can be", "Restore it from a backup.")
