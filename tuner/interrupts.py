"""Signals: an orderly stop where a study is at work, the end at once where it is not.

Ctrl-C, SIGTERM and a terminal that closes (SIGHUP) are treated alike; `nohup` keeps its meaning: a
SIGHUP that was ignored stays ignored. No handler raises an exception while foreign code may run: in
the middle of it (libraries that load, Ray that starts) it is swallowed, or crashes the process. The
end at once is as harmless as a kill.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from threading import Thread
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOGETHER = 1.0
"""Seconds in which several signals are one: `timeout` sends its own to the process and to its
group, a terminal that closes and its shell send one each."""
BOUNCE = 0.2
"""Seconds in which Ctrl-C after Ctrl-C is one: who presses it again means it."""
SHOW_CURSOR = "\x1b[?25h"
"""A bar that is moving hides it."""
LOOK_SECONDS = 0.1


@contextmanager
def ending_at_once(told: Callable[[], str]) -> Iterator[None]:
    """Where a signal comes in the block, the process ends with exit code 130.

    Args:
        told: what the user is told, as it is then.
    """
    with kept():
        _handle(lambda number, frame: end_at_once(told()))
        yield


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP do in the block what Ctrl-C does: KeyboardInterrupt on the main thread."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    with kept():
        _handle(pass_on)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield


@contextmanager
def ignored() -> Iterator[None]:
    """No signal does anything in the block, which is short."""
    with kept():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        yield


class OrderlyStop:
    """The first signal is noted, the second ends the process; use as a context manager.

    Args:
        noted: called at the first signal, on a thread of its own.
        told: to the user, at the second.

    Attributes:
        received: whether there was one.
        hurried: whether there was one, or another one, while the rest was being written.
    """

    def __init__(self, noted: Callable[[], None], told: str) -> None:
        self.received = False
        self.hurried = False
        self._noting = Thread(target=noted)
        self._told = told
        self._ending = False  # the rest is being written
        self._last = (-inf, 0)  # when the last one that counted came, and its number
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = _handlers()
        _handle(self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._noting.ident is not None:
            self._noting.join()
        _put_back(self._before)

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, so long at most; whether there was one."""
        deadline = time.monotonic() + seconds
        while not self.received and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return self.received

    def ends(self) -> None:
        """From here on the rest is written, which a signal hurries and a second one ends."""
        self._ending = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now, (last, before) = time.monotonic(), self._last
        if now - last < (BOUNCE if number == before == signal.SIGINT else TOGETHER):
            return
        self._last = now, number
        if self.hurried or (self.received and not self._ending):
            end_at_once(self._told)
        if self._ending:
            self.hurried = True
            return
        self.received = True
        # Not here: this may be in the middle of a write, and streams need not be reentrant.
        self._noting.start()


@contextmanager
def kept() -> Iterator[None]:
    """Handlers that the block puts in are taken out again; one that exits was meant for ours."""
    handlers = _handlers()
    exits = False
    try:
        yield
    except SystemExit:
        exits = True
        raise
    finally:
        _put_back(handlers)
        if exits:
            signal.raise_signal(signal.SIGTERM)


def end_at_once(told: str) -> NoReturn:
    """End the process with exit code 130, whatever it does, and say so where anybody reads."""
    with suppress(OSError, ValueError):  # its reader has gone, or it is closed
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    with suppress(OSError, ValueError):
        text = f"\n{told}\n".encode(sys.stderr.encoding, sys.stderr.errors or "backslashreplace")
        os.write(sys.stderr.fileno(), text)
    os._exit(130)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _handlers():
        signal.signal(number, handler)


def _put_back(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _handlers() -> dict[int, Any]:
    """What is done at each signal that is not to be ignored."""
    found: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    if found[signal.SIGHUP] is signal.SIG_IGN:
        del found[signal.SIGHUP]
    return found
