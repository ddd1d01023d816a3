"""Time as a process counts it: moments that never run backwards, and deadlines that hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN = time.time() - time.clock_gettime(_SINCE_BOOT)


class Late(OSError):
    """What was waited for has not come in time."""


def now() -> float:
    """Unix time in seconds, as this process counts it: the machine's clock when it began, and
    what has passed since, however that clock was set in the meantime.
    """
    return _BEGAN + time.clock_gettime(_SINCE_BOOT)


def within(seconds: float, call: Callable[[], Answer], name: str = "waiting") -> Answer:
    """What a call returns or raises, if it comes in time.

    A timeout of a socket is for each of its reads, so that an answer which comes in drips never
    ends. The call runs on a thread of its own, which is left behind where it is late.

    Raises:
        Late: nothing came within `seconds`.
    """
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
        raise Late(f"no whole answer came within {seconds:g} s")
    if raised:
        raise raised[0]
    return returned[0]
