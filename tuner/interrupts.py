"""Signal handling: a running study stops cleanly; any other command ends at once.

Ctrl-C, SIGTERM and a closing terminal (SIGHUP) are treated alike. `nohup` keeps its meaning: a
SIGHUP that was ignored stays ignored. No handler raises an exception while third-party code may
run: code that is loading libraries or starting Ray would swallow the exception or crash. Ending at
once does no more harm than a kill.
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
"""Seconds within which several signals count as one: `timeout` signals both the process and its
process group, and a closing terminal and its shell send one signal each."""
BOUNCE = 0.2
"""Seconds within which repeated Ctrl-C counts as one; a later press is deliberate."""
SHOW_CURSOR = "\x1b[?25h"
"""Shows the cursor again, which a progress bar hides."""
LOOK_SECONDS = 0.1


@contextmanager
def ending_at_once(message: Callable[[], str]) -> Iterator[None]:
    """End the process with exit code 130 if a signal arrives in the block.

    Args:
        message: returns the message for the user; called when the signal arrives.
    """
    with restoring_handlers():
        _handle(lambda number, frame: end_at_once(message()))
        yield


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Make SIGTERM and SIGHUP act like Ctrl-C: KeyboardInterrupt on the main thread."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    with restoring_handlers():
        _handle(pass_on)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore all SIGNALS in the block, which should be short."""
    with restoring_handlers():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        yield


class OrderlyStop:
    """A context manager that records the first signal and ends the process at the second.

    Args:
        noted: called at the first signal, on a thread of its own.
        message: printed for the user at the second signal.

    Attributes:
        received: True once a signal has arrived.
        hurried: True once a signal has arrived while the final results were being written.
    """

    def __init__(self, noted: Callable[[], None], message: str) -> None:
        self.received = False
        self.hurried = False
        self._noting = Thread(target=noted)
        self._message = message
        self._ending = False  # True while the final results are being written
        self._last = (-inf, 0)  # time and number of the last signal that counted
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
        """Wait at most `seconds` for a signal; return True if one has arrived."""
        deadline = time.monotonic() + seconds
        while not self.received and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return self.received

    def begin_final_writes(self) -> None:
        """Mark the start of the final writes: a signal now hurries them, a second one ends them."""
        self._ending = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now, (last, before) = time.monotonic(), self._last
        if now - last < (BOUNCE if number == before == signal.SIGINT else TOGETHER):
            return
        self._last = now, number
        if self.hurried or (self.received and not self._ending):
            end_at_once(self._message)
        if self._ending:
            self.hurried = True
            return
        self.received = True
        # `noted` runs on a thread: this handler may interrupt a write, and streams may not be
        # reentrant.
        self._noting.start()


@contextmanager
def restoring_handlers() -> Iterator[None]:
    """Restore the signal handlers after the block.

    If the block exits by SystemExit, a handler installed there has caught a signal that was meant
    for ours, so SIGTERM is raised again.
    """
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


def end_at_once(message: str) -> NoReturn:
    """Print `message` to stderr and end the process at once with exit code 130."""
    with suppress(OSError, ValueError):  # the reader has gone, or the stream is closed
        if sys.stdout.isatty():
            os.write(sys.stdout.fileno(), SHOW_CURSOR.encode())
    with suppress(OSError, ValueError):
        text = f"\n{message}\n".encode(sys.stderr.encoding, sys.stderr.errors or "backslashreplace")
        os.write(sys.stderr.fileno(), text)
    os._exit(130)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _handlers():
        signal.signal(number, handler)


def _put_back(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _handlers() -> dict[int, Any]:
    """Return the current handler of each of SIGNALS, without SIGHUP if it is ignored (nohup)."""
    found: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    if found[signal.SIGHUP] is signal.SIG_IGN:
        del found[signal.SIGHUP]
    return found
