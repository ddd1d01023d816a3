"""A process that looks after another one: how that ends, and which signals reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest

from tests.waiting import until

WORKS = """
    import os, signal, sys, time
    from tuner.cli import supervised
    supervised.supervise()
    {work}
"""
WAITS = """
    got = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: got.append(number))
    print(os.getpid(), flush=True)
    for told in range(2):
        while len(got) == told:
            time.sleep(0.01)
        print(got[told], flush=True)
    sys.exit(130)
"""


def start(work: str) -> subprocess.Popen[str]:
    code = dedent(WORKS).format(work=dedent(work).strip())
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(work: str) -> tuple[int, str, str]:
    process = start(work)
    said, complained = process.communicate()
    return process.returncode, said, complained.strip()


SAYS = "supervised.say_at_the_end('not this'); supervised.say_at_the_end('continue with x'); "


@pytest.mark.parametrize("code", [0, 2, 130])
def test_an_end_in_order_is_passed_on(code: int) -> None:
    assert ended(f"{SAYS}print('done', flush=True); os._exit({code})") == (code, "done\n", "")


def test_a_failure_that_was_told_is_passed_on() -> None:
    assert ended(f"{SAYS}supervised.ends_by_itself(); os._exit(1)") == (1, "", "")


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("os._exit(1)", "exit code 1"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("os.abort()", "signal 6 (Aborted)"),
        ("os.kill(os.getpid(), 35)", "signal 35 (Real-time signal 1)"),  # Python has no name for it
    ],
)
def test_who_ends_without_a_word_is_spoken_for(end: str, how: str) -> None:
    code, _, complained = ended(f"{SAYS}{end}")
    assert code == 130 and how in complained and complained.endswith("; continue with x")
    code, _, complained = ended(end)
    assert code == 130 and how in complained and complained.endswith("; nothing was started")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_the_command_handles_any_is_answered(name: str) -> None:
    """While its modules load, for instance."""
    end = f"os.kill(os.getpid(), signal.{name}); time.sleep(60)"
    assert ended(end) == (130, "", "interrupted: nothing was started")
    assert ended(f"{SAYS}{end}") == (130, "", "interrupted: continue with x")


def test_who_is_ended_after_its_last_message_is_spoken_for() -> None:
    """Libraries take themselves down after it, and may crash."""
    code, said, complained = ended(f"{SAYS}supervised.ends_by_itself(); os.abort()")
    assert (code, said) == (130, "") and complained.endswith("; continue with x")


def test_any_path_can_be_named() -> None:
    code, _, complained = ended(r"supervised.say_at_the_end('continue with \udce9'); os._exit(1)")
    assert code == 130 and complained.endswith(r"; continue with \udce9")


def test_each_signal_arrives_once() -> None:
    """To the process that was started, and to its group: the one at work is in another."""
    process = start(WAITS)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert os.getpgid(worker) != os.getpgid(process.pid) == process.pid
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout.readline() == "15\n"
    os.kill(process.pid, signal.SIGINT)
    assert (*process.communicate(), process.returncode) == ("2\n", "", 130)


def test_who_is_killed_takes_it_along() -> None:
    process = start(WAITS)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate()
    until(lambda: not alive(worker))


def test_both_are_stopped_and_go_on() -> None:
    """Ctrl-Z."""
    process = start(WAITS)
    assert process.stdout is not None
    both = (int(process.stdout.readline()), process.pid)
    os.kill(process.pid, signal.SIGTSTP)
    until(lambda: all(state(each) == "T" for each in both))
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: all(state(each) == "S" for each in both))
    process.terminate()
    assert process.stdout.readline() == "15\n"
    process.send_signal(signal.SIGINT)
    process.communicate()


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def alive(process: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return state(process) != "Z"
    return False
