"""The lease: who may work on a study that several machines can reach, and until when."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, until
from tuner.errors import UserError
from tuner.journal import lease
from tuner.journal.lease import FOLDER, Holder, Lease, at_work
from tuner.progress import Advance
from tuner.storage import access

LEASE = {"renew_every": 0.05, "expiry": PATIENCE}
"""Seconds: renewed often, and never expired by a busy machine."""


class Clock:
    """The monotonic clock of the lease, which sleeping moves on; the storage's own is real."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease, "time", clock)
    return clock


class Shown:
    """The messages that a user would see."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def task(self, name: str, unit: str = "") -> Iterator[Advance]:
        self.lines.append(name)
        yield lambda done, total: None


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """This disk's clock gives fractions of seconds."""
    monkeypatch.setattr(lease, "GRACE", 0.05)


def of_another(folder: Path, seconds_ago: float = 0.0, **changes: object) -> None:
    """A lease of a driver on another machine."""
    holder = Holder(owner="other", host="node-7", pid=41, machine="other")
    path = folder / FOLDER / "000001.json"
    access.write(path, holder.model_copy(update=changes).model_dump_json().encode())
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def holders(folder: Path) -> list[Holder]:
    paths = sorted((folder / FOLDER).glob("[0-9]*.json"))
    return [Holder.model_validate_json(path.read_bytes()) for path in paths]


def test_a_lease_is_renewed_and_given_back(tmp_path: Path) -> None:
    held = Lease(tmp_path, **LEASE)
    assert at_work(tmp_path)
    first = held._until
    until(lambda: holders(tmp_path)[0].renewed > 3)
    held.check()
    assert held._until > first
    with pytest.raises(UserError, match=rf"another process .*process {os.getpid()}") as told:
        Lease(tmp_path, **LEASE)
    assert "If it died, wait " in told.value.remedy
    held.release()
    assert not at_work(tmp_path)
    Lease(tmp_path, **LEASE).release()
    assert [holder.ended for holder in holders(tmp_path)] == [True, True]
    assert {path.name for path in tmp_path.iterdir()} == {FOLDER}


def test_one_that_died_elsewhere_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    """A valid lease is waited for, visibly; an older one is not."""
    began = clock.now
    of_another(tmp_path, seconds_ago=2600)
    shown = Shown()
    Lease(tmp_path, shown, renew_every=4.0, expiry=3000).release()
    (line,) = shown.lines
    told = r"the driver on node-7 \(process 41\) may have died: its lease expires in (\d+) s"
    match = re.fullmatch(told, line)
    assert match is not None and 400 - PATIENCE < int(match[1]) <= 400
    assert abs(clock.now - began - int(match[1])) < 2

    of_another(tmp_path, seconds_ago=3600)
    (tmp_path / FOLDER / "000002.json").unlink()
    Lease(tmp_path, shown, **LEASE).release()
    assert len(shown.lines) == 1


def test_where_the_storages_clock_was_set_back_it_expires_all_the_same(tmp_path: Path) -> None:
    """It is dated an hour later than now; it is watched for as long as it may be valid."""
    of_another(tmp_path, seconds_ago=-3600)
    with pytest.raises(UserError, match=r"If it died, wait 30 s\."):
        Lease(tmp_path, renew_every=0.05, expiry=30)
    shown = Shown()
    Lease(tmp_path, shown, renew_every=0.05, expiry=0.5).release()
    assert [line.rpartition(" in ")[2] for line in shown.lines] in ([], ["1 s"])


def test_one_that_is_renewed_while_it_is_waited_for_is_alive(tmp_path: Path) -> None:
    of_another(tmp_path)
    renewal = threading.Timer(0.2, of_another, (tmp_path,), {"renewed": 1})
    renewal.start()
    with pytest.raises(UserError, match=r"another process .*the driver on node-7 \(process 41\)"):
        Lease(tmp_path, Shown(), **LEASE)
    renewal.join()


def test_one_of_a_process_of_this_machine_that_is_gone_is_free_at_once(tmp_path: Path) -> None:
    """Nobody waits for a minute after a SIGKILL."""
    code = (
        "import os, sys, pathlib\n"
        "from tuner.journal.lease import Lease\n"
        "Lease(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not at_work(tmp_path), "it has ended, though nobody has asked how: a zombie"
    assert [holder.ended for holder in holders(tmp_path)] == [False]
    assert not at_work(tmp_path)
    Lease(tmp_path).release()


def test_of_two_who_find_it_free_one_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked before either creates its lease."""
    of_another(tmp_path, seconds_ago=3600)
    both_looked = threading.Barrier(2)
    looks = threading.local()
    last = lease._last

    def looked(folder: Path) -> object:
        found = last(folder)
        if not getattr(looks, "before", False) and threading.current_thread().name != "lease":
            looks.before = True
            both_looked.wait(PATIENCE)
        return found

    monkeypatch.setattr(lease, "_last", looked)
    got: list[Lease] = []
    refused: list[UserError] = []

    def take() -> None:
        try:
            got.append(Lease(tmp_path, **LEASE))
        except UserError as error:
            refused.append(error)

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len(got) == len(refused) == 1 and "another process" in refused[0].problem
    got[0].check()
    got[0].release()
    assert len(holders(tmp_path)) == 2


def test_a_driver_stops_where_it_was_overtaken(tmp_path: Path) -> None:
    held = Lease(tmp_path, **LEASE)
    access.create(tmp_path / FOLDER / "000002.json", b"another")
    held._thread.join(PATIENCE)  # it ends when it sees that
    with pytest.raises(UserError, match="another driver has taken over"):
        held.check()
    held.release()
    first = (tmp_path / FOLDER / "000001.json").read_bytes()
    assert not Holder.model_validate_json(first).ended


def test_a_driver_stops_where_the_storage_is_away_and_goes_on_where_it_is_back(
    tmp_path: Path, clock: Clock
) -> None:
    """It stops by its own clock, before another may start; nobody has, so its lease is good."""
    held = Lease(tmp_path, renew_every=0.05, expiry=60)
    away = tmp_path / "away"
    (tmp_path / FOLDER).rename(away)
    (tmp_path / FOLDER).write_text("in the way")
    held.check()
    clock.now += 61
    with pytest.raises(UserError, match=r"has expired: .* could not be written to for 60 s"):
        held.check()
    (tmp_path / FOLDER).unlink()
    away.rename(tmp_path / FOLDER)
    until(lambda: held._until > clock.now)
    held.check()
    held.release()


def test_a_lease_that_nobody_can_read_expires_too(tmp_path: Path) -> None:
    of_another(tmp_path)
    path = tmp_path / FOLDER / "000001.json"
    path.write_bytes(b"\xff\x00" * 10)
    with pytest.raises(UserError, match="the driver on an unknown machine"):
        Lease(tmp_path, **LEASE)
    os.utime(path, (0, 0))
    assert not at_work(tmp_path)
    Lease(tmp_path, **LEASE).release()
