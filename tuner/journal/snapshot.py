"""Snapshots: a study's history up to a record, so that a summary need not read its whole journal.

A snapshot is a file beside the journal. It holds the history without the trials that have ended,
of which it keeps the tally. A reader checks it against the journal's first record and the last one
that it holds, and folds in the records since. If anything does not fit, the reader reads the whole
journal: a snapshot never counts for more. Only summaries are made from it; a driver, a report and a
confirmation read and check every record.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tuner.errors import UserError
from tuner.journal.format import decode
from tuner.journal.history import History
from tuner.journal.journal import read_records
from tuner.journal.records import END_STATES
from tuner.storage.access import read, write
from tuner.storage.folders import Place
from tuner.study.scores import Record

SNAPSHOT = "snapshot.json"
FORMAT = 4
"""The format of a snapshot; a file with another one is ignored."""
WORTH = 500
"""The number of records from which on reading them again takes longer than writing a snapshot."""


class _Snapshot(Record):
    """A history, and the records that it was made of.

    Attributes:
        format: the version of this format.
        folder: the study's folder, to which its paths are adapted.
        records: how many records the history holds.
        start: where the last of them begins in the journal's file, in bytes.
        first: the CRC-32 of the first one.
        last: the CRC-32 of the last one.
        history: their history; of the trials it has only those that have not ended.
    """

    format: int
    folder: str
    records: int
    start: int
    first: int
    last: int
    history: History


_ADAPTER = TypeAdapter(_Snapshot)


def brief_history(folder: Place) -> History:
    """Return a study's history, in which trials that have ended may be missing.

    Raises:
        UserError: there is no study, or its journal is damaged.
    """
    known = _known(folder)
    if known is not None:
        with suppress(UserError):  # for instance, a trial goes on that had ended
            return _continued(known, folder)
    records = read_records(folder)
    history, number = decode(records, folder)
    if number > WORTH:
        _keep(folder, history, records[:number], records[0])
    return history


def refresh(folder: Place) -> None:
    """Bring a study's snapshot up to date, so that the next summary is quick.

    Where the journal cannot be read now, nothing is written, and that summary reads it whole.
    """
    with suppress(UserError):
        brief_history(folder)


def _known(folder: Place) -> _Snapshot | None:
    """Return the snapshot in a folder, if there is one in this format."""
    try:
        found = _ADAPTER.validate_json(read(folder, [SNAPSHOT])[SNAPSHOT])
    except (UserError, KeyError, ValidationError):
        return None
    fits = (found.format, found.folder) == (FORMAT, _path(folder)) and _is_whole(found.history)
    return found if fits else None


def _is_whole(history: History) -> bool:
    """Return whether a history's parts fit together, as those of a changed file may not."""
    numbers, tally = history.trials.keys(), history.tally
    return (
        history.is_begun
        and history.settings is not None
        and history.under_way | history.attempts.running.keys() <= numbers
        and history.attempts.placed.keys() <= history.attempts.running.keys()
        and all(number == trial.number for number, trial in history.trials.items())
        and all(t.started is not None for t in history.trials.values() if t.state == "running")
        and (tally.at_once > 0 or not tally.undisturbed)
        and (tally.best is None or tally.best.last is not None)
    )


def _continued(known: _Snapshot, folder: Place) -> History:
    """Return the history of a snapshot and the records since.

    Raises:
        UserError: the snapshot does not fit the journal.
    """
    records = read_records(folder, known.records - 1, known.start)
    if [zlib.crc32(record) for record in records[:2]] != [known.first, known.last]:
        raise UserError("the snapshot is of another journal")
    first, last, *new = records
    history, number = decode(new, folder, known.history, known.records)
    if len(new) > WORTH:
        sound = new[: number - known.records]
        _keep(folder, history, [last, *sound], first, known.records - 1, known.start)
    return history


def _keep(
    folder: Place,
    history: History,
    records: Sequence[bytes],
    first: bytes,
    before: int = 0,
    start: int = 0,
) -> None:
    """Write a snapshot, if the folder can be written to.

    Args:
        folder: the study's folder.
        history: the history up to the last record.
        records: the records from number `before` on.
        first: the journal's first record.
        before: how many records come before these.
        start: where they begin in the journal's file, in bytes.
    """
    open_trials = {n: t for n, t in history.trials.items() if t.state not in END_STATES}
    waiting = {n: t for n, t in history.attempts.waiting.items() if n in open_trials}
    snapshot = _Snapshot(
        format=FORMAT,
        folder=_path(folder),
        records=before + len(records),
        start=start + sum(map(len, records[:-1])),
        first=zlib.crc32(first),
        last=zlib.crc32(records[-1]),
        history=replace(
            history, trials=open_trials, attempts=replace(history.attempts, waiting=waiting)
        ),
    )
    with suppress(UserError):  # a reader may have no right to write
        write(folder / SNAPSHOT, _ADAPTER.dump_json(snapshot))


def _path(folder: Place) -> str:
    return str(folder.absolute() if isinstance(folder, Path) else folder)
