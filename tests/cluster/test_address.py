"""RAY_ADDRESS: its form, and what answers there, by real sockets of this machine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from threading import Thread

import pytest

from tuner.cluster import address
from tuner.cluster.address import check_answers, check_form
from tuner.errors import UserError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://head:8265", "dashboard"),
        ("https://head", "dashboard"),
        ("127.0.0.1:8265", "the dashboard's port"),
        ("[::1]:8265", "the dashboard's port"),
        ("ray://head:10001", "Ray Client"),
        ("head:10001", "Ray Client"),
        ("redis://head:6379", "not the address of a head"),
        ("head", "not host:port"),
        ("head:", "not host:port"),
        (":6379", "not host:port"),
        ("head:six", "not host:port"),
        ("head:0", "not host:port"),
        ("head:70000", "not host:port"),
        ("head:6379/", "not host:port"),
        ("::1:6379", "not host:port"),
        ("a head:6379", "not host:port"),
        ("user@head:6379", "not host:port"),
        (" ", "not host:port"),
    ],
)
def test_what_does_not_name_a_head_is_refused_with_what_it_is(given: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        check_form(given)
    assert "RAY_ADDRESS" in refused.value.problem
    assert "host:port" in refused.value.remedy or "tuner submit" in refused.value.remedy


@pytest.mark.parametrize("given", ["head:6379", "10.0.0.1:6379", "[::1]:6379", "auto", "local"])
def test_a_head_is_let_pass(given: str) -> None:
    check_form(given)


@pytest.fixture
def server() -> Callable[[bytes | None], str]:
    """Starts a server that says something to its one client; returns its address."""

    def start(words: bytes | None) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def answer() -> None:
            with listening, listening.accept()[0] as connection:
                connection.recv(64)
                if words is None:
                    connection.recv(64)  # until the client has had enough
                else:
                    connection.sendall(words)

        Thread(target=answer, daemon=True).start()
        host, port = listening.getsockname()
        return f"{host}:{port}"

    return start


def test_a_server_of_grpc_is_taken_for_a_head(server: Callable[[bytes | None], str]) -> None:
    check_answers(server(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server answers"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not the head"),
        (b"", "not the head"),
    ],
)
def test_other_servers_are_named(
    server: Callable[[bytes | None], str], words: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        check_answers(server(words))


def test_nobody_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
    began = time.monotonic()
    with pytest.raises(UserError, match=r"no Ray cluster answers at .*: Connection refused"):
        check_answers(f"{host}:{port}")
    assert time.monotonic() - began < address.PATIENCE


def test_a_name_that_no_one_knows_is_told() -> None:
    with pytest.raises(UserError, match=r"host of head.invalid:6379|answers"):
        check_answers("head.invalid:6379")


def test_a_silent_server_is_waited_for_no_longer_than_is_said(
    server: Callable[[bytes | None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "PATIENCE", 0.2)
    with pytest.raises(UserError, match=r"no Ray cluster answers at .* within"):
        check_answers(server(None))


def test_address_and_word_take_at_most_ten_seconds() -> None:
    assert address.PATIENCE <= 10
