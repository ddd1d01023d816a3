"""Commands run in this process, and what must hold of each, whatever it was given."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hypothesis import HealthCheck, settings

from tests.waiting import PATIENCE
from tuner.cli import main

TIMES = int(os.environ.get("TIMES_EXAMPLES", "1"))
"""For a longer search: so many times the examples of each property."""
LONGEST = 30
"""Lines of a message that is still read."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that no terminal gets from a text; Rich's own colours are off outside of one."""


class Hangs(BaseException):
    """An error that nobody catches."""


@dataclass(frozen=True)
class Said:
    """The end of a command, and what it printed."""

    code: int
    out: str
    err: str


def examples(number: int) -> settings:
    """So many examples, whatever each takes."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=number * TIMES, suppress_health_check=slow)


def tuner(*arguments: str) -> Said:
    """`tuner …`, which neither hangs, nor fails with a traceback, nor prints control characters.

    Whoever is refused is told why, in few lines.
    """
    out, err, code = StringIO(), StringIO(), 0
    before, sys.argv = sys.argv, ["tuner", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err), in_time():
            main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        sys.argv = before
    said = Said(code, out.getvalue(), err.getvalue())
    assert code in (0, 2), said
    assert not CONTROL.search(said.out + said.err), ascii(said)
    assert "Traceback" not in said.out + said.err, said
    if code == 2:
        assert said.err.strip() or arguments == (), "nobody is told why"
        assert len(said.err.splitlines()) <= LONGEST, said.err
    return said


@contextmanager
def in_time() -> Iterator[None]:
    """Fail what hangs."""

    def hangs(number: int, frame: FrameType | None) -> NoReturn:
        raise Hangs(f"still at it after {PATIENCE:g} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tree(folder: Path, but: Path | None = None) -> dict[str, Any]:
    """All that is in a folder, links not followed; without what is in `but`."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if but is not None and path.is_relative_to(but):
            continue
        what: Any = None
        if path.is_symlink():
            what = path.readlink()
        elif path.is_file():
            what = path.read_bytes() if path.stat().st_size < 2**26 else path.stat().st_size
        found[path.relative_to(folder).as_posix()] = what
    return found
