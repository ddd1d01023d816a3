"""Signals, sent to real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from tuner import interrupts
from tuner.interrupts import SIGNALS, OrderlyStop, ending_at_once, restoring_handlers

SLOW = """
    import sys, time
    from tuner.interrupts import OrderlyStop, ending_at_once
    with ending_at_once(lambda: "interrupted: nothing was started"):
        try:
            print("ready", flush=True)
            for _ in range(100_000):  # see LONG
                time.sleep(0.01)
        except BaseException:
            print("swallowed", flush=True)
"""
ORDERLY = """
    import time
    from tuner import interrupts
    interrupts.TOGETHER = interrupts.BOUNCE = {together}
    noted = []
    def note():
        print("noted", flush=True)
        noted.append(True)
    with interrupts.OrderlyStop(note, "at once") as stop:
        print("ready", flush=True)
        while not (stop.received and noted):
            time.sleep(0.01)
        {then}
        stop.begin_final_writes()
        print("the rest", flush=True)
        while not stop.hurried:
            time.sleep(0.01)
        print("hurried", flush=True)
        {last}
"""
LONG = "[time.sleep(0.01) for _ in range(100_000)]"
"""Far longer than a test takes; a signal just before one long sleep would wait for its end."""


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
        told, errors = process.communicate(timeout=900)
    return process.returncode, told, errors


@pytest.mark.parametrize("number", SIGNALS)
def test_the_end_at_once_raises_nothing_that_could_be_swallowed(number: int) -> None:
    code, told, errors = run(SLOW, ("ready", number))
    assert (code, told) == (130, "")
    assert errors.strip() == "interrupted: nothing was started"


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_next_hurries_the_rest(number: int) -> None:
    """No exception is raised, whatever is being written."""
    steps = (("ready", number), ("noted", 0), ("the rest", number))
    code, told, errors = run(ORDERLY.format(together=0, then="", last=""), *steps)
    assert (code, told.strip(), errors) == (0, "hurried", "")


@pytest.mark.parametrize(
    ("then", "last", "steps"),
    [
        (LONG, "", [("ready", signal.SIGTERM), ("noted", signal.SIGINT)]),
        ("", LONG, [("ready", signal.SIGHUP), ("noted", 0)]),
    ],
    ids=["while it stops", "while the rest is written"],
)
def test_the_second_signal_ends_it(then: str, last: str, steps: list[tuple[str, int]]) -> None:
    if last:
        steps = [*steps, ("the rest", signal.SIGTERM), ("hurried", signal.SIGTERM)]
    code = ORDERLY.format(together=0, then=then, last=last)
    exit_code, told, errors = run(code, *steps)
    assert (exit_code, told, errors.strip()) == (130, "", "at once")


def test_signals_that_come_together_are_one() -> None:
    """`timeout` sends its own signals to the process and to its group."""
    slowly = "import os, signal; os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1)"
    steps = (("ready", signal.SIGTERM), ("noted", 0))
    code = ORDERLY.format(together=60, then=slowly, last="").replace("not stop.hurried", "False")
    exit_code, told, errors = run(code, *steps)
    assert (exit_code, told.split(), errors) == (0, ["the", "rest", "hurried"], "")


@pytest.mark.parametrize(
    ("signals", "counted"),
    [
        ([(0.0, "INT"), (0.1, "INT")], 1),
        ([(0.0, "INT"), (0.3, "INT")], 2),
        ([(0.1 * n, "INT") for n in range(4)], 2),
        ([(0.0, "TERM"), (0.9, "TERM")], 1),
        ([(0.9 * n, "TERM") for n in range(3)], 2),
        ([(0.0, "TERM"), (0.5, "HUP")], 1),
        ([(0.0, "INT"), (0.5, "TERM")], 1),
        ([(0.0, "TERM"), (1.5, "HUP")], 2),
    ],
)
def test_which_signals_count(
    signals: list[tuple[float, str]], counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped ones hold off none that comes after: Ctrl-C that is held down ends it at once."""

    class AtOnce(Exception):
        pass

    def end(told: str) -> None:
        raise AtOnce

    monkeypatch.setattr(interrupts, "end_at_once", end)
    ended = False
    with OrderlyStop(lambda: None, "at once") as stop:
        for after, name in signals:
            monkeypatch.setattr(interrupts.time, "monotonic", lambda after=after: 1000 + after)
            try:
                stop._receive(signal.Signals[f"SIG{name}"], None)
            except AtOnce:
                ended = True
                break
    assert stop.received and ended == (counted == 2)


def test_an_ignored_hangup_stays_ignored() -> None:
    """`nohup tuner search …`: the study goes on when the terminal is closed."""
    code, told, errors = run(
        """
        import os, signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        from tuner.interrupts import OrderlyStop, as_ctrl_c, ending_at_once
        stop = OrderlyStop(lambda: None, "at once")
        for block in (ending_at_once(lambda: "ended"), as_ctrl_c(), stop):
            with block:
                os.kill(os.getpid(), signal.SIGHUP)
        print(stop.received)
        """
    )
    assert (code, told, errors) == (0, "False\n", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_block_may_be_left_by_every_signal_as_by_ctrl_c(number: int) -> None:
    code, told, errors = run(
        """
        import time
        from tuner.interrupts import as_ctrl_c, ending_at_once
        with ending_at_once(lambda: "ended"):
            try:
                with as_ctrl_c():
                    print("ready", flush=True)
                    for _ in range(100_000):
                        time.sleep(0.01)
            except KeyboardInterrupt:
                print("left", flush=True)
        """,
        ("ready", number),
    )
    assert (code, told, errors) == (0, "left\n", "")


def test_the_end_at_once_needs_no_reader() -> None:
    """The terminal that was closed is what would have shown the last line."""
    ended = """
        import os
        from tuner.interrupts import end_at_once
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 2)
        end_at_once("nobody reads this")
    """
    assert run(ended) == (130, "", "")


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with ending_at_once(lambda: "…"):
        ours = [signal.getsignal(number) for number in SIGNALS]
        assert ours != before
        with restoring_handlers():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert [signal.getsignal(number) for number in SIGNALS] == ours
        with OrderlyStop(lambda: None, "…"):
            assert [signal.getsignal(number) for number in SIGNALS] != ours
        assert [signal.getsignal(number) for number in SIGNALS] == ours
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_handler_that_exits_was_meant_for_ours() -> None:
    """Ray's own handler is in place while Ray starts."""
    code, told, errors = run(
        """
        import signal, sys, time
        from tuner.interrupts import ending_at_once, restoring_handlers
        with ending_at_once(lambda: "interrupted: nothing was started"), restoring_handlers():
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
            print("ready", flush=True)
            for _ in range(100_000):
                time.sleep(0.01)
        """,
        ("ready", signal.SIGTERM),
    )
    assert (code, told, errors.strip()) == (130, "", "interrupted: nothing was started")
