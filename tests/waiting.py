"""Waiting in tests: for an event, with an end so late that only a broken product reaches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

PATIENCE = 300.0
"""Seconds; a busy machine may take a hundred times as long as an idle one."""


Within = Callable[[float], AbstractContextManager[None]]
"""The fixture `within`: it times a block, and says where it takes more than so many CPU seconds."""


def until(happened: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait until `happened()` is true.

    Args:
        happened: asked a hundred times a second.
        what: the event, for the message of a test that waited in vain.
        seconds: the longest wait.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what or 'it'}: not within {seconds:g} s"
        time.sleep(0.01)
