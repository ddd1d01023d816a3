"""The journal's format: one JSON record per line, its checksum, and the allowed order of records.

Every record carries its number and a CRC-32 of itself. A torn record at the end (the writer or its
disk died while writing it) is detected and dropped: it is a bad record with no intact one after it.
Any other inconsistency is an error; nothing is skipped. A journal may be damaged or malicious:
reading it yields a study or a UserError, whatever it holds.
"""

from __future__ import annotations

import gc
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from tuner import __version__
from tuner.errors import UserError
from tuner.journal.events import (
    EVENT,
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    NodeJoined,
    NodeLeft,
    Progressed,
    Recommended,
    SettingsChanged,
    StudyCreated,
    Tested,
    TestOpened,
    TrialCreated,
)
from tuner.journal.history import History
from tuner.journal.moved import with_current_paths
from tuner.shown import printable
from tuner.storage.folders import Place
from tuner.study.design import ConfirmDesign

LATEST = 1e11
"""Unix time in seconds, in the year 5138; a later time is invalid."""
DIGITS = 300
"""The largest number of digits of an integer; one with more may not fit into a float."""
_SEAL = re.compile(rb', "crc": "([0-9a-f]{8})"}\n\Z')
"""The end of a record: the CRC-32 of what comes before it, closed by a brace."""
MAX_VERSION_LENGTH = 40
"""The largest number of characters shown of a version."""


class _Torn(ValueError):
    """A record differs from what was written."""


def encode(number: int, event: Event) -> bytes:
    """Encode an event as a record: one line."""
    body = {"n": number, **event.model_dump(mode="json")}
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def decode(
    records: Sequence[bytes], folder: Place, before: History | None = None, first: int = 0
) -> tuple[History, int]:
    """Decode the records of a journal into the study's history.

    Args:
        records: return values of `encode`, in order; the last may be torn.
        folder: the study's folder, which has the study's name.
        before: the history of the records before these, which grows; None if there are none.
        first: the number of records before these.

    Returns:
        The history, and the number of intact records: all, or those before the torn one at the end.

    Raises:
        UserError: the journal is empty or damaged, or belongs to another study or version.
    """
    with _uncollected():
        return _decode(records, folder, before or History(), first)


def _decode(
    records: Sequence[bytes], folder: Place, history: History, first: int
) -> tuple[History, int]:
    writer = ""
    for number, record in enumerate(records, first):
        try:
            body = _body(number, record)
            writer = _writer(body) or writer
            event = EVENT.validate_python(body)
            _check(event, history)
            history.apply(_followed(event, history, folder))
        except _Torn as error:
            if number and not any(map(_is_sound, records[number + 1 - first :])):
                return history, number
            raise _damaged(folder, number, str(error)) from error
        except ValidationError as error:  # sound, but not in this version's format
            raise _unknown(folder, number, error, writer) from error
        except (ValueError, RecursionError) as error:
            raise _damaged(folder, number, str(error)) from error
    if not history.is_begun:
        raise UserError(f"the journal in {folder} is empty", "Restore it from a backup.")
    return history, first + len(records)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Read without garbage collection, which would visit all that was read again and again.

    It takes a fifth of the time that a long journal is read in, and finds nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _writer(body: Mapping[str, Any]) -> str:
    """Return the version of this tool that a record names as its writer; empty if it names none."""
    facts = body.get("facts")
    found = facts.get("environment") if isinstance(facts, dict) else body
    version = found.get("tuner") if isinstance(found, dict) else None
    return printable(version)[:MAX_VERSION_LENGTH] if isinstance(version, str) else ""


def _followed(event: Event, history: History, folder: Place) -> Event:
    """Return the event with its paths adapted to the study's current folder."""
    match event:
        case StudyCreated():
            _check_created(event, folder)
            history.began = event.settings["storage"]
        case SettingsChanged():
            pass
        case _:
            return event
    settings = with_current_paths(event.settings, history.began, folder)
    return event.model_copy(update={"settings": settings})


def _is_sound(record: bytes) -> bool:
    """Return whether a record's checksum matches, whatever its number."""
    try:
        _sealed(record)
    except _Torn:
        return False
    return True


def _body(number: int, record: bytes) -> dict[str, Any]:
    body = _sealed(record)
    if body.pop("n", None) != number:
        raise ValueError(f"its number should be {number}")
    return body


def _sealed(record: bytes) -> dict[str, Any]:
    """Decode a record and check that it is complete and matches its checksum."""
    if not record.endswith(b"\n"):
        raise _Torn("the record is cut off")
    seal = _SEAL.search(record)
    if seal is None:
        raise _Torn("it is not a record")
    if int(seal[1], 16) != zlib.crc32(record[: seal.start()] + b"}"):
        raise _Torn("its checksum does not match")
    try:
        body = _JSON.decode(record.decode())
    except (ValueError, RecursionError) as error:
        raise _Torn(str(error)) from error
    if not isinstance(body, dict):
        raise _Torn("it is not a record")
    body.pop("crc", None)
    return body


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


_JSON = json.JSONDecoder(parse_int=_integer)


def _check(event: Event, history: History) -> None:
    """Refuse an event that no driver writes, or that readers could not interpret."""
    if isinstance(event, StudyCreated) == history.is_begun:
        raise ValueError("the creation of the study must be the first record, and only the first")
    if not 0 <= event.time < LATEST:
        raise ValueError(f"its time, {event.time:g}, is out of range")
    match event:
        case StudyCreated() | DriverStarted() | DriverEnded() | SettingsChanged():
            pass
        case TrialCreated():
            if event.number != history.tally.trials:
                raise ValueError(f"trial {history.tally.trials} is next, not {event.number}")
            if event.budget not in history.rungs:
                raise ValueError(f"the study has no rung at {event.budget}, the trial's budget")
        case Recommended():
            if history.recommendation is not None:
                raise ValueError("it is a second recommendation")
            if event.recommendation.arm not in event.recommendation.objective:
                raise ValueError("it recommends an arm without an objective")
        case TestOpened():
            if history.recommendation is None or history.read_before is not None:
                raise ValueError("test was opened before an arm was recommended, or twice")
        case NodeJoined() | NodeLeft():
            there = event.node in history.nodes.present
            if there == isinstance(event, NodeJoined):
                raise ValueError(f"node {event.node} is {'already' if there else 'not'} present")
        case Progressed():
            for number in event.pairs_seen:
                _check_trial(number, history)
        case _:
            _check_trial(event.number, history)
            if isinstance(event, Tested):
                _check_tested(event, history)
            if isinstance(event, Evaluated) and event.evaluation.rung not in history.rungs:
                raise ValueError(f"the study has no rung at {event.evaluation.rung}")


def _check_tested(event: Tested, history: History) -> None:
    """Refuse that test was read by a run that chose, or before a choice was made."""
    if history.recommendation is None:
        raise ValueError("test was read before an arm was recommended")
    design = history.settings.design if history.settings else None
    seed = history.trials[event.number].config.seed
    if isinstance(design, ConfirmDesign) and seed not in design.estimates:
        raise ValueError(f"test was read by trial {event.number:03d}, which chose")


def _check_created(event: StudyCreated, folder: Place) -> None:
    if event.name != folder.name:
        raise ValueError(
            f"it belongs to study {event.name!r}, but the folder is named {folder.name!r}: "
            "rename the folder"
        )
    if not event.rungs or list(event.rungs) != sorted({*event.rungs}):
        raise ValueError(f"its rungs must ascend, got {list(event.rungs)}")
    if not isinstance(event.settings.get("storage"), str):
        raise ValueError("settings.storage is missing or not a string")


def _check_trial(number: int, history: History) -> None:
    if number not in history.trials:
        raise ValueError(f"trial {number} was never created")


def _unknown(folder: Place, number: int, error: ValidationError, writer: str) -> UserError:
    """Return the error for an intact record that this version cannot read."""
    first = error.errors()[0]
    reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    problem = f"the journal in {folder}: record {number + 1} is not in the format of this version, "
    problem += f"{__version__}: {reason[:300]}"
    if writer not in ("", __version__):
        return UserError(
            f"{problem}; version {writer} wrote it",
            f"Use version {writer} of this tool, or a newer one. The journal was not changed.",
        )
    return UserError(
        problem,
        "A newer commit of this tool wrote it, or someone changed it. Use that commit, or restore "
        "the journal from a backup; the records before this one are intact.",
    )


def _damaged(folder: Place, number: int, reason: str) -> UserError:
    return UserError(
        f"the journal in {folder}: record {number + 1} is damaged: {reason[:300]}",
        "Restore it from a backup; the records before this one are intact."
        if number
        else "If the folder was copied or renamed, give it its study's name again. Otherwise this "
        "is not a journal of this tool, or its beginning was cut off.",
    )
