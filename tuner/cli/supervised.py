"""Supervision of a driver: a command runs in a child process, and its parent reports how it ended.

A driver can end without a message. Ray's code ends it with exit code 1 if the raylet dies while
data is stored, and the system kills it if memory runs out. At that point none of our code can run
in the driver, so another process has to tell the user what to do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

from tuner.interrupts import SIGNALS, end_at_once

IN_ORDER = (0, 2, 130)
"""Exit codes that a process sets itself, after printing a message."""
SET_PARENT_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG, which sets the signal that a process gets when its parent dies."""
END_MARK = "\0"
NOTHING = "nothing was started"
PIPE_BYTES = 65_536
"""Capacity of a pipe in bytes."""

_pipe: int | None = None
"""The pipe by which this process tells its parent what to print; None without a supervisor."""
_follows = NOTHING
"""The message that this process prints at a signal, unless the command handles signals itself."""


def supervise() -> None:
    """Fork a child that continues with the command, and wait in this process for the child's end.

    The function returns only in the child, which ends if this process is killed. The child is in a
    process group of its own; this process passes each signal on to it once.
    """
    global _pipe
    reads, writes = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # so that none is lost
    parent, child = os.getpid(), os.fork()
    if child == 0:
        os.close(reads)
        _pipe = writes
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent was killed before prctl
            os._exit(130)
        _set(dict.fromkeys(SIGNALS, _end))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.close(writes)
    _pass_on(child)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.set_blocking(reads, False)
    try:
        said = os.read(reads, PIPE_BYTES).decode(errors="replace")
    except BlockingIOError:  # empty, and held open by a process of the child's
        said = ""
    if code in IN_ORDER or (code > 0 and said.endswith(END_MARK)):
        os._exit(code)
    follows = said.rstrip(f"{END_MARK}\n").rpartition("\n")[2] or NOTHING
    end_at_once(f"interrupted: the process that did the work {_how(code)}; {follows}")


def say_at_the_end(line: str) -> None:
    """Set the message that is printed if this process ends without one from now on."""
    global _follows
    if _pipe is not None:
        _follows = line
        os.write(_pipe, f"{line}\n".encode(errors="backslashreplace"))


def ends_by_itself() -> None:
    """Tell the parent that this process has printed its messages and ends by itself."""
    if _pipe is not None:
        os.write(_pipe, END_MARK.encode())


def _pass_on(child: int) -> None:
    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    def rest(number: int, frame: FrameType | None) -> None:
        pass_on(signal.SIGSTOP, frame)
        os.kill(os.getpid(), signal.SIGSTOP)
        pass_on(signal.SIGCONT, frame)  # once this process continues

    _set(dict.fromkeys(SIGNALS, pass_on) | {signal.SIGTSTP: rest})


def _end(number: int, frame: FrameType | None) -> None:
    """End a driver that has no handlers yet; typer would end it without a message at Ctrl-C."""
    end_at_once(f"interrupted: {_follows}")


def _set(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], None]]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under `nohup`
            signal.signal(number, handler)


def _how(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), as the system does if memory runs out"
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with exit code {code}, as it does if Ray's raylet ends"
