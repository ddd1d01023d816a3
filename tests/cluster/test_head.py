"""Ray's processes, here sockets that listen, come to their end in the course of a call."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tuner.cluster import head as module
from tuner.cluster.head import PATIENCE, RayGone, RayMonitor


class Listening:
    """A GCS and a raylet, as far as a driver looks at them."""

    def __init__(self, folder: Path) -> None:
        self.gcs = socket.create_server(("127.0.0.1", 0))
        self.raylet = socket.socket(socket.AF_UNIX)
        self.path = str(folder / "raylet")
        self.raylet.bind(self.path)
        self.raylet.listen()
        self.heads: list[RayMonitor] = []

    def seen(self, here: bool = True) -> RayMonitor:
        self.heads.append(RayMonitor(self.gcs.getsockname(), self.path, here))
        return self.heads[-1]

    def end_raylet(self) -> None:
        self.raylet.close()  # and with it connections that wait in its queue


@pytest.fixture
def ray(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    listening = Listening(place)
    yield listening
    listening.gcs.close()
    listening.end_raylet()
    for head in listening.heads:
        head.close()


def test_the_end_of_the_raylet_is_seen_at_once(ray: Listening) -> None:
    head = ray.seen()
    assert head.failure() == ""
    ray.end_raylet()
    assert head.failure() == "its raylet has ended"
    late = ray.seen()
    assert late.failure() == "its raylet has ended"


def test_the_end_of_the_gcs_is_seen_at_once(ray: Listening) -> None:
    head = ray.seen()
    assert head.failure() == ""
    ray.gcs.close()
    assert head.failure() == "its GCS has ended"


def test_over_a_network_the_gcs_may_be_away_for_a_while(
    ray: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, now = ray.seen(here=False), module.time.monotonic()
    ray.gcs.close()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + PATIENCE - 1)
    assert head.failure() == ""
    monkeypatch.setattr(module.time, "monotonic", lambda: now + PATIENCE + 1)
    assert head.failure() == "its GCS does not answer"


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "too many open files"), TimeoutError()])
def test_what_hinders_a_look_is_no_end(
    ray: Listening, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    head, now = ray.seen(), module.time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(module.socket, "create_connection", fail)
        assert head.failure() == ""
        patched.setattr(module.time, "monotonic", lambda: now + PATIENCE + 1)
        assert head.failure() == "its GCS does not answer"
    assert head.failure() == "its GCS does not answer", "once gone, it stays so for whoever asks"


def test_what_a_call_says_comes_back(ray: Listening) -> None:
    head = ray.seen()
    assert head.outlives(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        head.outlives(lambda: 1 // 0)


def test_a_call_that_hangs_without_ray_is_left(
    ray: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.01)
    head, began, told = ray.seen(), Event(), list[str]()

    def hang() -> None:
        began.set()
        Event().wait()

    def end() -> None:
        began.wait()
        ray.gcs.close()

    module.Thread(target=end).start()
    with pytest.raises(RayGone, match="its GCS has ended"):
        head.outlives(hang, told.append)
    assert told == ["its GCS has ended"]


def test_a_call_may_end_in_order_without_ray(ray: Listening) -> None:
    """It is told, and waited for: what it has to write is written."""
    head, asked, ended = ray.seen(), Event(), list[str]()

    def call() -> None:
        ray.end_raylet()
        asked.wait()
        ended.append("in order")

    with pytest.raises(RayGone, match="its raylet has ended"):
        head.outlives(call, lambda why: asked.set())
    assert ended == ["in order"]


def test_nothing_is_asked_of_a_ray_that_has_gone(ray: Listening) -> None:
    """A call that stores data would end the process with exit code 1, in Ray's own code."""
    head, told = ray.seen(), list[str]()
    ray.end_raylet()
    with pytest.raises(RayGone):
        head.outlives(lambda: pytest.fail("it was called"), told.append)
    assert told == ["its raylet has ended"]


def test_what_fails_because_ray_has_gone_is_no_failure_of_its_own(ray: Listening) -> None:
    head = ray.seen()

    def call() -> None:
        ray.end_raylet()
        raise ConnectionError("whatever Ray says then")

    with pytest.raises(RayGone, match="its raylet has ended"):
        head.outlives(call)
