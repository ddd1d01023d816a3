"""Deadlines: an answer that comes in drips, each in time, is given up as a whole."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tuner import timing
from tuner.errors import UserError
from tuner.jobs import connection
from tuner.jobs.connection import Head
from tuner.timing import Late, within
from tuner.tracking import store
from tuner.tracking.refusals import Unreachable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.fixture
def drips() -> Iterator[str]:
    """A server that answers whatever it is asked a byte at a time, for good."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(65536)
            client.sendall(HEAD[:-2])
            while not ended.wait(0.02):
                client.sendall(b"x")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    deadline = time.monotonic() + 30  # what was left behind ends with the server
    while any(thread.is_alive() for thread in timing._left_behind):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_mlflow_that_drips_is_given_up(drips: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "IN_ALL", 0.3)
    with pytest.raises(Unreachable, match=r"no complete answer .* within 0\.3 s"):
        store.reach(drips)


def test_every_request_of_mlflows_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Client:
        def log_batch(self, run: str, fails: bool = False) -> str:
            if fails:
                raise ConnectionError(run)
            return "done" if run else str(released.wait(60))

    monkeypatch.setenv(store.TIMEOUT, "0.05")
    client = store._InTime(Client())  # type: ignore[arg-type]
    assert client.log_batch("mine") == "done"
    with pytest.raises(ConnectionError, match="mine"):
        client.log_batch("mine", fails=True)
    with pytest.raises(Late, match=r"within 0\.1 s"):
        client.log_batch("")
    released.set()


def test_a_head_that_drips_is_given_up(drips: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IN_ALL", 0.3)
    with pytest.raises(UserError, match="nothing answers"):
        Head(drips).ask("GET", "/api/version")


def test_no_more_than_so_many_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "MAX_ABANDONED", 3)
    monkeypatch.setattr(timing, "_left_behind", [])
    released = threading.Event()
    for _ in range(3):
        with pytest.raises(Late, match="no complete answer"):
            within(0.01, lambda: released.wait(60))
    asked: list[int] = []
    with pytest.raises(Late, match="3 earlier requests"):
        within(0.01, lambda: asked.append(1))
    assert asked == []
    released.set()
    for thread in timing._left_behind:
        thread.join(60)
    assert within(60, lambda: 5) == 5


def test_what_a_call_raises_is_raised() -> None:
    def fails() -> None:
        raise KeyError("x")

    call: Callable[[], None] = fails
    with pytest.raises(KeyError, match="x"):
        within(60, call)
