"""The reason why a worker ended, from Ray's error message and the worker's own standard error."""

from __future__ import annotations

from pathlib import Path

from tuner.cluster.private import EXIT_CODE, PROCESS_ID, STANDARD_ERROR
from tuner.shown import without_secrets

TAIL = 20_000
"""Bytes at the end of a worker's standard error that are searched for an error."""


def last_words(message: str, logs: Path) -> str:
    """Return why a worker ended, after a colon; an empty string if the reason is unknown.

    A worker that is killed prints nothing. One that fails while it loads its libraries, or whose
    process crashes, prints an error.

    Args:
        message: Ray's message about the end of the actor.
        logs: the folder of Ray's logs on this machine; workers of other machines have none in it.
    """
    process = PROCESS_ID.search(message)
    printed = _printed(logs, process[1]) if process else ""
    said = _error_in(printed)
    if not said and (exited := EXIT_CODE.search(message)):
        said = f"it exited with {exited[1]}"
    return f": {without_secrets(said)}" if said else ""


def _printed(logs: Path, process: str) -> str:
    """Return the end of what a process has written to its standard error."""
    for path in logs.glob(STANDARD_ERROR.format(process=process)):
        try:
            return path.read_bytes()[-TAIL:].decode(errors="replace")
        except OSError:  # Ray has rotated it away
            continue
    return ""


def _error_in(printed: str) -> str:
    """Return the line that names an error: the last of a traceback, or the first of a crash."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for index in reversed(range(len(lines))):
        if lines[index].startswith("Fatal Python error"):
            return lines[index]
        if lines[index].startswith("Traceback (most recent call last)"):
            return lines[-1]
    return ""
