"""Signals, sent to real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from tuner.interrupts import SIGNALS, OrderlyStop, ending_at_once, kept

SLOW = """
    import sys, time
    from tuner.interrupts import OrderlyStop, ending_at_once
    with ending_at_once(lambda: "interrupted: nothing was begun"):
        try:
            print("ready", flush=True)
            for _ in range(3000):  # a signal just before one long sleep would wait for its end
                time.sleep(0.01)
        except BaseException:
            print("swallowed", flush=True)
"""
ORDERLY = """
    import time
    from tuner.interrupts import OrderlyStop
    with OrderlyStop(lambda: print("noted", flush=True), "stopped at once") as stop:
        print("ready", flush=True)
        while not stop.received:
            time.sleep(0.01)
        for _ in range(3000 * {twice}):
            time.sleep(0.01)
    try:
        print("the rest", flush=True)
        for _ in range(3000):
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("raised", flush=True)
"""


def run(code: str, *steps: tuple[str, int]) -> tuple[int, str, str]:
    """A process that is sent a signal after each of these lines; its exit code and last words."""
    command = [sys.executable, "-c", dedent(code)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line, number in steps:
            if (said := process.stdout.readline().strip()) != line:
                process.kill()
                raise AssertionError(f"{said!r} is not {line!r}: {process.communicate()}")
            process.send_signal(number)
        told, errors = process.communicate(timeout=20)
    return process.returncode, told, errors


@pytest.mark.parametrize("number", SIGNALS)
def test_the_end_at_once_raises_nothing_that_could_be_swallowed(number: int) -> None:
    code, told, errors = run(SLOW, ("ready", number))
    assert (code, told) == (130, "")
    assert errors.strip() == "interrupted: nothing was begun"


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_rest_may_be_interrupted(number: int) -> None:
    steps = (("ready", number), ("noted", 0), ("the rest", number))
    code, told, errors = run(ORDERLY.format(twice=False), *steps)
    assert (code, told.strip(), errors) == (0, "raised", "")


def test_the_second_signal_ends_it() -> None:
    steps = (("ready", signal.SIGTERM), ("noted", signal.SIGINT))
    code, told, errors = run(ORDERLY.format(twice=True), *steps)
    assert (code, told, errors.strip()) == (130, "", "stopped at once")


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with ending_at_once(lambda: "…"):
        ours = [signal.getsignal(number) for number in SIGNALS]
        assert ours != before
        with kept():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert [signal.getsignal(number) for number in SIGNALS] == ours
        with OrderlyStop(lambda: None, "…"):
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_handler_that_exits_was_meant_for_ours() -> None:
    """As Ray's, which is in place while Ray starts."""
    code, told, errors = run(
        """
        import signal, sys, time
        from tuner.interrupts import ending_at_once, kept
        with ending_at_once(lambda: "interrupted: nothing was begun"), kept():
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
            print("ready", flush=True)
            time.sleep(30)
        """,
        ("ready", signal.SIGTERM),
    )
    assert (code, told, errors.strip()) == (130, "", "interrupted: nothing was begun")
