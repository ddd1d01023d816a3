"""Time as a process counts it: moments that never run backwards, and deadlines that hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

MOST = 16
"""Calls that may be left behind: a server that never ends an answer may be asked for days."""

_left_behind: list[threading.Thread] = []
_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN = time.time() - time.clock_gettime(_SINCE_BOOT)


class Late(OSError):
    """What was waited for has not come in time."""


def now() -> float:
    """Unix time in seconds, as this process counts it.

    It is the machine's clock when the process began, and what has passed since, however that clock
    was set in the meantime.
    """
    return _BEGAN + time.clock_gettime(_SINCE_BOOT)


def within(seconds: float, call: Callable[[], Answer], name: str = "waiting") -> Answer:
    """What a call returns or raises, if it comes in time.

    A timeout of a socket is for each of its reads, so that an answer which comes in drips never
    ends. The call runs on a thread of its own, which is left behind where it is late; when too many
    are, none is added before one of them comes back.

    Raises:
        Late: nothing came within `seconds`.
    """
    _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
    if len(_left_behind) >= MOST:
        raise Late(f"{MOST} requests before this one have not come back")
    returned: list[Answer] = []
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
        raise Late(f"no whole answer came within {seconds:g} s")
    if raised:
        error = raised.pop()
        try:
            raise error
        finally:
            del error  # which would keep this frame, and so what the call had open, in a circle
    return returned.pop()
