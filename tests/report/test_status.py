"""The state of studies, from real journals; the lock of a driver is a real one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.examples import Make, shown
from tests.robustness.damage import sealed
from tuner.errors import UserError
from tuner.journal.file import PATIENCE
from tuner.journal.journal import FILE, Journal, being_written
from tuner.report import status
from tuner.report.status import Unreadable, all_studies, look_at, show_status, watch


@contextmanager
def driver_at_work(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the journal's lock, as a driver does; it lets go as it dies."""
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(folder / FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_driver_at_work_and_one_that_was_killed(make: Make) -> None:
    """Their journals are equal: the lock tells them apart."""
    folder = make("mine")
    with driver_at_work(folder) as process:
        running = look_at(folder)
        assert running.state == "running" and being_written(folder)
        text = shown(lambda console: show_status(running, console))
        assert "mine: running" in text and "status mine --storage" in text and "--watch" in text
        assert "running 1" in text and "waiting 1" in text and " 0 of 800 pairs" in text
        assert running.study.seconds > 1e6, "its clock goes on"
        with pytest.raises(UserError, match="another process"):
            Journal(folder)
        process.kill()
        process.wait()
        died = look_at(folder)
    text = shown(lambda console: show_status(died, console))
    assert died.state == "driver died" and not being_written(folder)
    assert "its driver died; continue with: " in text and "resume mine --storage" in text
    assert "interrupted 1" in text and "running" not in text
    assert died.study.seconds == 60, "up to its last word"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("interrupted", "interrupted; continue with: "),
        ("completed", "completed; every trial: "),
        ("failed", "failed, so it is; see: "),
    ],
)
def test_what_an_orderly_end_leaves(make: Make, state: str, words: str) -> None:
    folder = make("mine", state)
    status = look_at(folder)
    text = shown(lambda console: show_status(status, console))
    command = "resume" if state == "interrupted" else "report"
    assert status.state == state and words in text and f"{command} mine --storage" in text
    assert "0:01:05" in text and "best (unconfirmed): trial 000, 80.00%" in text


def test_resuming_is_running_before_the_first_record(make: Make) -> None:
    """A driver that loads and starts holds the lock already."""
    folder = make("mine", "interrupted")
    with driver_at_work(folder):
        assert look_at(folder).state == "running"


def test_a_torn_record_is_not_seen(make: Make) -> None:
    folder = make("mine", "completed")
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[:-20])
    assert look_at(folder).state == "driver died"  # that it ended was not written


def test_a_look_does_not_keep_a_driver_from_starting(make: Make) -> None:
    """The look's lock is held for a moment; a writer waits for so long."""
    folder = make("mine")
    code = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'rb')\n"
        "fcntl.flock(file, fcntl.LOCK_SH)\n"
        "print('held', flush=True)\n"
        f"time.sleep({PATIENCE / 2})\n"
    )
    look = [sys.executable, "-S", "-c", code, str(folder / FILE)]
    with subprocess.Popen(look, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with Journal(folder) as journal:
            assert len(journal.history.trials) == 2


def test_watching_ends_with_the_driver(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("mine")
    monkeypatch.setattr(status, "LOOK_EVERY", 0.01)
    looks = []
    with driver_at_work(folder) as process:

        def look(at: Path) -> status.StudyStatus:
            looks.append(at)
            if len(looks) == 3:
                process.kill()
                process.wait()
            return look_at(at)

        monkeypatch.setattr(status, "look_at", look)
        text = shown(lambda console: watch(folder, console))
    assert len(looks) == 3
    assert "mine: driver died" in text and text.rstrip().splitlines()[-1].startswith("its driver")


def test_ctrl_c_ends_the_view_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("mine")

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", interrupted)
    with driver_at_work(folder) as process:
        assert watch(folder, Console(file=io.StringIO())).state == "running"
        assert process.poll() is None


def test_a_view_that_nobody_reads_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell waits for `tuner status NAME --watch | head -1`."""
    folder = make("mine")

    def slept(seconds: float) -> None:
        raise AssertionError("it goes on")

    monkeypatch.setattr(status, "unread", lambda: True)
    monkeypatch.setattr(status.time, "sleep", slept)
    with driver_at_work(folder) as process:
        assert watch(folder, Console(file=io.StringIO())).state == "running"
        assert process.poll() is None


@pytest.mark.parametrize("block", ["budget", "sampler", "data", "encoder", "claim"])
def test_a_record_that_lacks_what_readers_take_for_granted(make: Make, block: str) -> None:
    """Its checksum is right: it was forged, or another version wrote it. It is no KeyError."""
    folder = make("mine", "completed")
    first, *others = (folder / FILE).read_bytes().splitlines(keepends=True)
    body = json.loads(first)
    if block in ("budget", "sampler"):
        del body["settings"][block]["trials" if block == "budget" else "kind"]
        body["settings"][block] |= {"startup_trials": "many"} if block == "sampler" else {}
    else:
        del body["facts"][block]
    (folder / FILE).write_bytes(b"".join([sealed(body, 0), *others]))
    with pytest.raises(UserError):
        look_at(folder)
    (found,) = all_studies(folder.parent)
    assert isinstance(found, Unreadable)
