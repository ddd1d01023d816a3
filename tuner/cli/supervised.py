"""A command that works in a process of its own: this one stays, and says how that one ended.

A driver can end without a word: Ray's own code ends it with exit code 1 where the raylet dies while
data is stored, and the system kills it where memory runs out. Nothing of ours runs in it then, so
another process has to say what follows.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from tuner.interrupts import SIGNALS, end_at_once

IN_ORDER = (0, 2, 130)
"""Exit codes that a process gives itself, after a message."""
SET_PARENT_DEATH_SIGNAL = 1
"""Linux's PR_SET_PDEATHSIG: what this process gets when its parent dies."""
ENDED = "\0"
NOTHING = "nothing was begun"
LONGEST = 65_536
"""Bytes that a pipe holds."""

_pipe: int | None = None
"""Where this process says what follows; None: nobody listens."""


def supervise() -> None:
    """Go on in a child, which ends when this process is killed; this one waits for its end.

    It returns in the child alone. Signals reach the child through this process, each once: the
    child is in a process group of its own.
    """
    global _pipe
    reads, writes = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # none falls in between
    parent, child = os.getpid(), os.fork()
    if child == 0:
        os.close(reads)
        _pipe = writes
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was killed before that
            os._exit(130)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.close(writes)
    _pass_on(child)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.set_blocking(reads, False)
    try:
        said = os.read(reads, LONGEST).decode()
    except BlockingIOError:  # nothing, and something that it started is still there
        said = ""
    if code in IN_ORDER or said.endswith(ENDED):
        os._exit(code)
    follows = said.splitlines()[-1] if said else NOTHING
    end_at_once(f"interrupted: the process that did the work {_how(code)}; {follows}")


def say_at_the_end(line: str) -> None:
    """Have this said where the process ends without a word from now on."""
    if _pipe is not None:
        os.write(_pipe, f"{line}\n".encode())


def ends_by_itself() -> None:
    """What ends the process from now on has been told, whatever its exit code is."""
    if _pipe is not None:
        os.write(_pipe, ENDED.encode())


def _pass_on(child: int) -> None:
    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has ended just now
            os.kill(child, number)

    def rest(number: int, frame: FrameType | None) -> None:
        pass_on(signal.SIGSTOP, frame)
        os.kill(os.getpid(), signal.SIGSTOP)
        pass_on(signal.SIGCONT, frame)  # this process goes on

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, pass_on)
    signal.signal(signal.SIGTSTP, rest)


def _how(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), as the system does where memory runs out"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"has ended with exit code {code}, as it does where Ray's raylet ends"
