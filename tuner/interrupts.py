"""Ctrl-C and SIGTERM: an orderly stop where a study is at work, the end at once where it is not.

Neither raises an exception while foreign code may run: in the middle of it (libraries that load,
Ray that starts) it is swallowed, or crashes the process. The end at once is as harmless as a kill.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"
"""A bar that is moving hides it."""


@contextmanager
def ending_at_once(told: Callable[[], str]) -> Iterator[None]:
    """Where a signal comes in the block, the process ends with exit code 130.

    Args:
        told: what the user is told, as it is then.
    """
    with kept():
        _end_at_once(told)
        yield


class OrderlyStop:
    """The first signal is noted, the second ends the process; use as a context manager.

    Afterwards, while the rest is written, a signal raises KeyboardInterrupt.

    Args:
        noted: called at the first signal, on a thread of its own.
        told: to the user, at the second.

    Attributes:
        received: whether there was one.
    """

    def __init__(self, noted: Callable[[], None], told: str) -> None:
        self.received = False
        self._noting = Thread(target=noted)
        self._told = told

    def __enter__(self) -> Self:
        for number in SIGNALS:
            signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.received:
            self._noting.join()
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        _end_at_once(lambda: self._told)
        # Not here: this may be in the middle of a write, and streams need not be reentrant.
        self._noting.start()


@contextmanager
def kept() -> Iterator[None]:
    """Handlers that the block puts in are taken out again; one that exits was meant for ours."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    exits = False
    try:
        yield
    except SystemExit:
        exits = True
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if exits:
            signal.raise_signal(signal.SIGTERM)


def _end_at_once(told: Callable[[], str]) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(SHOW_CURSOR)
            sys.stdout.flush()
        os.write(sys.stderr.fileno(), f"\n{told()}\n".encode())
        os._exit(130)

    for number in SIGNALS:
        signal.signal(number, end)
