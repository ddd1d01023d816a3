"""The journal's format: one JSON record a line, and which records may follow which.

Every record carries a CRC-32 of itself and its number. What is torn at the end (the writer died in
the middle of it, or its disk) is recognised and dropped: a bad record after which no sound one
comes. Anything else that does not add up is an error, never skipped. A journal may have been
damaged, or made by someone who means harm: whatever it holds, reading it gives a study or a
UserError.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tuner import __version__
from tuner.errors import UserError
from tuner.search.events import (
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
    TrialCreated,
)
from tuner.search.history import History
from tuner.search.moved import followed
from tuner.search.recorded import checked_facts, checked_settings
from tuner.shown import printable
from tuner.storage.folders import Place

LATEST = 1e11
"""Unix time, seconds, in the year 5138: what is later is no time."""
DIGITS = 300
"""Of an integer; one with more is no float."""
LONGEST_VERSION = 40
"""Characters of a version that are shown."""


class _Torn(ValueError):
    """A record that is not as it was written."""


def encode(number: int, event: Event) -> bytes:
    """A record as it is written: a line."""
    body = {"n": number, **event.model_dump(mode="json")}
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def decode(records: Sequence[bytes], folder: Place) -> tuple[History, int]:
    """What the records of a journal add up to.

    Args:
        records: in order, each as `encode` gave it; the last may be torn.
        folder: the study's own, whose name is the study's.

    Returns:
        The history, and how many records are sound: all, or those before the torn one at the end.

    Raises:
        UserError: it is no journal, of another study or another version, or damaged.
    """
    history = History()
    writer = ""
    for number, record in enumerate(records):
        try:
            body = _body(number, record)
            writer = _writer(body) or writer
            event = EVENT.validate_python(body)
            _check(event, history)
            history.apply(_followed(event, history, folder))
        except _Torn as error:
            if number and not any(map(_is_sound, records[number + 1 :])):
                return history, number
            raise _damaged(folder, number, str(error)) from error
        except ValidationError as error:  # sound, but not what this version writes
            raise _unknown(folder, number, error, writer) from error
        except (ValueError, RecursionError) as error:
            raise _damaged(folder, number, str(error)) from error
    if not records:
        raise UserError(f"the journal in {folder} is empty", "Restore it from a backup.")
    return history, len(records)


def _writer(body: Mapping[str, Any]) -> str:
    """Which version of this tool wrote the records from here on; empty where this one is silent."""
    facts = body.get("facts")
    found = facts.get("environment") if isinstance(facts, dict) else body
    version = found.get("tuner") if isinstance(found, dict) else None
    return printable(version)[:LONGEST_VERSION] if isinstance(version, str) else ""


def _followed(event: Event, history: History, folder: Place) -> Event:
    """The event as it holds where the study stands now, its settings and facts complete."""
    match event:
        case StudyCreated():
            _check_created(event, folder)
            history.began = event.settings["storage"]
            settings = checked_settings(followed(event.settings, history.began, folder))
            facts = checked_facts(event.facts)
            return event.model_copy(update={"settings": settings, "facts": facts})
        case SettingsChanged():
            changed = followed(event.settings, history.began, folder)
            settings = checked_settings({**history.settings, **changed})
            return event.model_copy(update={"settings": {key: settings[key] for key in changed}})
        case _:
            return event


def _is_sound(record: bytes) -> bool:
    """Whether it has its checksum, wherever it stands."""
    try:
        _sealed(record)
    except _Torn:
        return False
    return True


def _body(number: int, record: bytes) -> dict[str, Any]:
    body = _sealed(record)
    if body.pop("n", None) != number:
        raise ValueError(f"its number is not {number}")
    return body


def _sealed(record: bytes) -> dict[str, Any]:
    """What a record says, as it was written."""
    if not record.endswith(b"\n"):
        raise _Torn("the record is cut off")
    try:
        body = json.loads(record, parse_int=_integer)
        if not isinstance(body, dict):
            raise _Torn("not a record")
        crc = body.pop("crc", None)
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        if crc != f"{zlib.crc32(text.encode()):08x}":
            raise _Torn("its checksum does not match")
    except (ValueError, RecursionError) as error:
        raise _Torn(str(error)) from error
    return body


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _check(event: Event, history: History) -> None:
    """Refuse what no driver writes, and what readers could not make sense of."""
    if isinstance(event, StudyCreated) == history.is_begun:
        raise ValueError("a study begins with its creation, once")
    if not 0 <= event.time < LATEST:
        raise ValueError(f"its time is {event.time:g}")
    match event:
        case StudyCreated() | DriverStarted() | DriverEnded() | SettingsChanged():
            pass
        case TrialCreated():
            if event.number != len(history.trials):
                raise ValueError(f"trial {len(history.trials)} is next, not {event.number}")
            if event.budget not in history.rungs:
                raise ValueError(f"the study has no rung at {event.budget}, the trial's budget")
        case Recommended():
            if history.recommendation is not None:
                raise ValueError("a second recommendation")
            if event.recommendation.arm not in event.recommendation.objective:
                raise ValueError("it recommends an arm that it has no objective of")
        case NodeJoined() | NodeLeft():
            there = event.node in history.nodes
            if there == isinstance(event, NodeJoined):
                raise ValueError(f"node {event.node} is {'' if there else 'not '}there")
        case Progressed():
            for number in event.pairs_seen:
                _check_trial(number, history)
        case _:
            _check_trial(event.number, history)
            if isinstance(event, Tested) and history.recommendation is None:
                raise ValueError("test was read before anything was recommended")
            if isinstance(event, Evaluated) and event.evaluation.rung not in history.rungs:
                raise ValueError(f"the study has no rung at {event.evaluation.rung}")


def _check_created(event: StudyCreated, folder: Place) -> None:
    if event.name != folder.name:
        raise ValueError(
            f"it is of a study {event.name!r}, and the folder is called {folder.name!r}: rename it"
        )
    if not event.rungs or list(event.rungs) != sorted({*event.rungs}):
        raise ValueError(f"its rungs are {list(event.rungs)}")
    if not isinstance(event.settings.get("storage"), str):
        raise ValueError("settings.storage is missing, or no str")


def _check_trial(number: int, history: History) -> None:
    if number not in history.trials:
        raise ValueError(f"trial {number} was never created")


def _unknown(folder: Place, number: int, error: ValidationError, writer: str) -> UserError:
    """What is said of a record that is sound, and not as this version writes it."""
    first = error.errors()[0]
    reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    problem = f"the journal in {folder}: record {number + 1} is not one of this version, "
    problem += f"{__version__}: {reason[:300]}"
    if writer not in ("", __version__):
        return UserError(
            f"{problem}; version {writer} wrote it",
            f"Use version {writer} of this tool, or a newer one. The journal is left as it is.",
        )
    return UserError(
        problem,
        "A newer state of this tool wrote it, or somebody changed it. Use that one, or restore the "
        "journal from a backup; the records before this one are sound.",
    )


def _damaged(folder: Place, number: int, reason: str) -> UserError:
    return UserError(
        f"the journal in {folder}: record {number + 1} is damaged: {reason[:300]}",
        "Restore it from a backup; the records before this one are sound."
        if number
        else "A folder that was copied or renamed keeps its study's name. Else this is no journal "
        "of this tool, or its beginning was cut off.",
    )
