"""Time within this process: a clock that never runs backwards, and calls with deadlines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

MAX_ABANDONED = 16
"""Abandoned calls at most: a server that never finishes an answer may be asked for days."""

_left_behind: list[threading.Thread] = []
_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN = time.time() - time.clock_gettime(_SINCE_BOOT)


class Late(OSError):
    """A call did not return in time."""


def now() -> float:
    """Return the Unix time in seconds, as this process counts it.

    This is the machine's clock at the start of the process plus the time passed since. Changes to
    that clock in the meantime have no effect.
    """
    return _BEGAN + time.clock_gettime(_SINCE_BOOT)


def within(seconds: float, call: Callable[[], Result], name: str = "waiting") -> Result:
    """Call a function within a time limit; return its result or raise its exception.

    A socket's timeout applies to each read, so an answer that arrives byte by byte never times
    out. The call therefore runs on a thread of its own, which is abandoned when it is late. Once
    MAX_ABANDONED threads are abandoned, no call starts until one of them ends.

    Raises:
        Late: the call did not return within `seconds`, or MAX_ABANDONED earlier calls
            are still running.
    """
    _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
    if len(_left_behind) >= MAX_ABANDONED:
        raise Late(f"{MAX_ABANDONED} earlier requests are still unanswered")
    returned: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _left_behind.append(thread)
        raise Late(f"no complete answer arrived within {seconds:g} s")
    if raised:
        error = raised.pop()
        try:
            raise error
        finally:
            del error  # otherwise a reference cycle keeps this frame and the call's open files
    return returned.pop()
