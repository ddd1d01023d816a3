"""The journal: the only truth about a study. Append-only, one writer, one JSON record a line.

Every record carries a CRC-32 of itself and its number. A last record that was torn (the writer
died in the middle of it) is recognised and dropped; anything else that does not add up is an
error, never skipped.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from tuner.errors import UserError
from tuner.invocation import command
from tuner.search.events import EVENT, Event, StudyCreated
from tuner.search.history import History

FILE = "journal.jsonl"
PATIENCE = 0.5
"""Seconds that a writer waits for the lock: a look at it (`being_written`) is over at once."""


class Journal:
    """The journal of one study, open for writing; use as a context manager.

    Attributes:
        history: what has been written so far, folded.

    Raises:
        UserError: another process is writing it, or a record in the middle is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file = open(self._path, "r+b")  # noqa: SIM115 (closed by __exit__)
        if not self._locked(time.monotonic() + PATIENCE):
            self._file.close()
            raise UserError(
                f"study {folder.name} is being worked on by another process",
                f"Watch it by `{command('status', folder)} --watch`; when it has ended or was "
                "stopped by Ctrl-C, run this command again.",
            )
        try:
            events, self._number, end = _parse(self._path, self._file.read())
            self._file.truncate(end)
            self._file.seek(end)
            self.history = History(events)
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def create(cls, folder: Path, created: StudyCreated) -> Self:
        """Begin the journal of a new study; the folder appears with its first record or not at all.

        Raises:
            UserError: a study of that name exists.
        """
        staged = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        staged.mkdir(parents=True)
        try:
            (staged / FILE).write_bytes(_line(0, created))
            staged.rename(folder)  # refuses a folder that is not empty
        except OSError as error:
            (staged / FILE).unlink(missing_ok=True)
            staged.rmdir()
            raise exists(folder) from error
        return cls(folder)

    def append(self, event: Event) -> None:
        """Write one record and force it to the disk; only then does it count."""
        self._file.write(_line(self._number, event))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._number += 1
        self.history.apply(event)

    def _locked(self, deadline: float) -> bool:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(PATIENCE / 10)
            else:
                return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def check_free(folder: Path) -> None:
    """Refuse to begin a study whose name is taken.

    Raises:
        UserError: there is a study in the folder.
    """
    if (folder / FILE).exists():
        raise exists(folder)


def exists(folder: Path) -> UserError:
    """What is wrong where a name is taken."""
    return UserError(
        f"study {folder.name} already exists in {folder.parent}",
        f"Go on with it by `{command('resume', folder)}`, or choose another name: "
        f"--set name={folder.name}-2",
    )


def being_written(folder: Path) -> bool:
    """Whether a driver is at work on the study: it holds the journal's lock as long as it lives."""
    if not (folder / FILE).exists():
        return False
    with open(folder / FILE, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def studies_in(storage: Path) -> list[Path]:
    """The folders of all studies."""
    found = (path.parent for path in storage.glob(f"*/{FILE}"))
    return sorted(folder for folder in found if not folder.name.startswith("."))


def read_history(folder: Path) -> History:
    """The study in a folder, from its journal alone; also while another process writes it.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        known = [found.name for found in studies_in(folder.parent)]
        raise UserError(
            f"there is no study {folder.name} in {folder.parent.absolute()}",
            (f"Known there: {', '.join(known)}." if known else "No study is there at all.")
            + " Studies elsewhere: --storage FOLDER.",
        ) from error
    return History(_parse(path, content)[0])


def _line(number: int, event: Event) -> bytes:
    body = {"n": number, **event.model_dump(mode="json")}
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def _parse(path: Path, content: bytes) -> tuple[list[Event], int, int]:
    """Events, the next record's number, and where the sound part of the file ends, in bytes."""
    events: list[Event] = []
    end = 0
    for number, line in enumerate(content.splitlines(keepends=True)):
        try:
            events.append(_event(number, line))
        except (ValueError, ValidationError) as error:
            if end + len(line) == len(content):  # the last record: torn while it was written
                break
            raise UserError(
                f"{path}, record {number + 1} is damaged: {error}",
                "Restore the file from a backup; the records before this one are sound.",
            ) from error
        end += len(line)
    if not events or not isinstance(events[0], StudyCreated):
        raise UserError(
            f"{path} does not begin with the study's creation",
            "This is no journal of this tool, or its beginning was cut off.",
        )
    return events, len(events), end


def _event(number: int, line: bytes) -> Event:
    if not line.endswith(b"\n"):
        raise ValueError("the record is cut off")
    body: dict[str, Any] = json.loads(line)
    if not isinstance(body, dict):
        raise ValueError("not a record")
    crc = body.pop("crc", None)
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    if crc != f"{zlib.crc32(text.encode()):08x}":
        raise ValueError("its checksum does not match")
    if body.pop("n", None) != number:
        raise ValueError(f"its number is not {number}")
    return EVENT.validate_python(body)
