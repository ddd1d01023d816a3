"""A cluster is used only where nobody else can use it: whatever is unclear is refused."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.jobs.conftest import Dashboard
from tests.ports import free_port
from tuner.errors import UserError
from tuner.jobs.connection import connect, find_token


def complaint(address: str, insecure: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        connect(address, insecure)
    return str(caught.value)


def test_with_its_token(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", " the-token\n")
    head = connect(dashboard.address + "/")
    assert head.address == dashboard.address and "the-token" not in repr(head)
    assert head.options == f"--address {dashboard.address}"
    assert head.ask("GET", "/api/version")[0] == 200
    first, *_ = dashboard.asked
    assert first[2] is None, "asked without a token first"


def test_without_a_token(dashboard: Dashboard) -> None:
    said = complaint(dashboard.address)
    assert "asks for a token" in said and "RAY_AUTH_TOKEN" in said
    assert all(given is None for *_, given in dashboard.asked)


def test_with_another_token(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    said = complaint(dashboard.address)
    assert "does not accept the token" in said and "another" not in said


def test_one_that_asks_for_none(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    dashboard.token = None
    said = complaint(dashboard.address)
    assert "answers without a token" in said and "RAY_AUTH_MODE=token" in said
    assert "--insecure" in said
    assert connect(dashboard.address, insecure=True).options.endswith(" --insecure")
    assert all(given is None for *_, given in dashboard.asked), "our token is not for it"


def test_plain_http_over_a_network() -> None:
    said = complaint("http://head.example:8265")
    assert "plain http" in said and "ssh -N -L" in said


@pytest.mark.parametrize(
    "address", ["head:8265", "ray://head:10001", "https://", "http://[::1", "http://h:port"]
)
def test_no_address(address: str) -> None:
    assert "dashboard's address" in complaint(address)


@pytest.mark.parametrize("address", ["https://me:secret@head", "https://head/?token=secret"])
def test_no_secret_in_an_address(address: str) -> None:
    said = complaint(address)
    assert "neither a login nor a query" in said and "secret" not in said


def test_nobody_there() -> None:
    said = complaint(f"http://127.0.0.1:{free_port()}")
    assert "nothing answers at" in said and "refused" in said


def test_what_speaks_another_language(dashboard: Dashboard) -> None:
    said = complaint(dashboard.address.replace("http", "https"))
    assert "does not speak TLS" in said and f"Did you mean {dashboard.address}?" in said
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            with other.accept()[0] as asked:
                asked.recv(10_000)
                asked.sendall(b"\0\0\x18\4\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert "does not speak HTTP" in complaint(f"http://127.0.0.1:{other.getsockname()[1]}")
        thread.join()


def test_a_head_whose_agent_has_not_started(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Ray on the head's machine holds the agent's port."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the-token")
    said = b"Traceback\nException: No available agent to submit job, please try again later.\n"
    dashboard.pages["/api/jobs/"] = (500, said, {})
    with pytest.raises(UserError, match="agent has not started") as refused:
        connect(dashboard.address).ask_json("GET", "/api/jobs/")
    assert "--dashboard-agent-listen-port" in str(refused.value.remedy)


def test_what_is_no_ray(dashboard: Dashboard) -> None:
    dashboard.token = None
    dashboard.pages["/api/version"] = (200, b"<html>", {})
    assert "is not a Ray dashboard" in complaint(dashboard.address, insecure=True)


def test_another_ray(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the-token")
    dashboard.ray = "2.9.3"
    assert "runs Ray 2.9.3, but" in complaint(dashboard.address)


def test_a_token_is_not_sent_on(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere, where whoever answers points to."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the-token")
    location = {"Location": f"{dashboard.address}/elsewhere"}
    dashboard.pages["/api/version"] = (302, b"", location)
    assert "is not a Ray dashboard" in complaint(dashboard.address)
    assert "/elsewhere" not in [path for _, path, _ in dashboard.asked]


def test_where_a_token_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's order: the variable, then the file that is named, then the one at home."""
    assert find_token() is None
    home = tmp_path / "home" / ".ray" / "auth_token"
    home.parent.mkdir(parents=True)
    home.write_text("of-home\n")
    assert find_token() == "of-home"
    (tmp_path / "named").write_text("of-file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    assert find_token() == "of-file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of-variable")
    assert find_token() == "of-variable"
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot be read"):
        find_token()
