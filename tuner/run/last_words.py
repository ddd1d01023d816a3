"""What is known of a worker's end, from Ray's words and from what the worker itself has printed."""

from __future__ import annotations

import re
from pathlib import Path

from tuner.shown import without_secrets

TAIL = 20_000
"""Bytes of what a worker printed, in which its last words are."""
EXITED = re.compile(r"Worker exits with an exit code (.+?)\.?\s*$", re.MULTILINE)
PROCESS = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)


def last_words(told: str, logs: Path) -> str:
    """Why a worker has gone, after a colon; nothing where nobody knows.

    One that is killed says nothing. One that fails while it loads its libraries, or whose process
    crashes, does.

    Args:
        told: by Ray, of the end of an actor.
        logs: of the Ray that runs here: a worker of another machine is not found there.
    """
    process = PROCESS.search(told)
    printed = _printed(logs, process[1]) if process else ""
    said = _error_in(printed)
    if not said and (exited := EXITED.search(told)):
        said = f"it exited with {exited[1]}"
    return f": {without_secrets(said)}" if said else ""


def _printed(logs: Path, process: str) -> str:
    """The end of what a process has written to its standard error."""
    for path in logs.glob(f"worker-*-{process}.err"):
        try:
            return path.read_bytes()[-TAIL:].decode(errors="replace")
        except OSError:  # it was rotated away
            continue
    return ""


def _error_in(printed: str) -> str:
    """The line that names an error: the last one of a traceback, or the first of a crash."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for index in reversed(range(len(lines))):
        if lines[index].startswith("Fatal Python error"):
            return lines[index]
        if lines[index].startswith("Traceback (most recent call last)"):
            return lines[-1]
    return ""
