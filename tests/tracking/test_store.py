"""Addresses of stores: which are used, what is said of the others, and what is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.tracking.examples import PASSWORD
from tuner.errors import UserError
from tuner.tracking import Tracker, default_uri
from tuner.tracking.addresses import artifact_folder, without_credentials
from tuner.tracking.refusals import Unreachable


def test_where_the_default_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_uri(Path("studies")) == f"sqlite:///{tmp_path}/studies/mlflow.db"
    assert default_uri(Path("studies")).startswith("sqlite:////")
    assert artifact_folder("sqlite:///studies/mlflow.db") == tmp_path / "studies" / "mlartifacts"
    assert artifact_folder("http://server") is None


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://nobody:{password}@127.0.0.1:1", "refused"),
        ("https://nobody.invalid/mlflow", "cannot be reached"),
        ("postgresql://nobody:{password}@127.0.0.1:1/mlflow", "refused"),
        ("http://nobody:{password}@[half", "cannot be reached"),
        ("postgresql://127.0.0.1:none/mlflow?user=nobody&password={password}", "cannot be reached"),
        ("./mlruns", "folder of files"),
        ("file:///tmp/mlruns", "folder of files"),
        ("sqlite:///:memory:", "plain file"),
        ("sqlite:///50%/mlflow.db", "plain file"),
        ("sqlite:////proc/none/mlflow.db", "No such file or directory"),
    ],
)
def test_a_store_that_cannot_be_used(uri: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=reason) as told:
        Tracker(uri.format(password=PASSWORD), "demo")
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(told.value)
    assert told.value.remedy
    another = "sqlite:////" in told.value.remedy
    assert another == (reason in ("folder of files", "plain file", "No such file or directory"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is a text, and not a short one\n" * 100)
    with pytest.raises(UserError, match="not a database"):
        Tracker(default_uri(tmp_path), "demo")


@pytest.mark.integration
def test_a_process_that_is_killed_while_the_database_is_made_leaves_none(tmp_path: Path) -> None:
    """MLflow makes it in many steps, and cannot repair one that has only some."""
    (tmp_path / "tmp").mkdir()
    code = (
        "from tuner.tracking import Tracker, store\n"
        f"store.MEMORY = {str(tmp_path / 'tmp')!r}\n"
        f"Tracker({default_uri(tmp_path)!r}, 'demo')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        while not any(file.stat().st_size for file in tmp_path.rglob("mlflow.db")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert not (tmp_path / "mlflow.db").exists()
    assert Tracker(default_uri(tmp_path), "demo").written == 0
    assert (tmp_path / "mlflow.db").exists()


@pytest.mark.integration
def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began = time.monotonic()
        with pytest.raises(UserError, match="timed out"):
            Tracker(f"http://127.0.0.1:{deaf.getsockname()[1]}", "demo")
        assert time.monotonic() - began < 10


class _Refusing(BaseHTTPRequestHandler):
    status = 401

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(f"no entry for {self.headers['Authorization']}\n".encode())

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    """Address of a server that lets nobody in, and quotes who asked."""
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.integration
@pytest.mark.parametrize("status", [400, 401, 403, 500])
@pytest.mark.parametrize("given", ["uri", "environment", "token"])
def test_a_server_that_refuses_is_quoted_without_credentials(
    refusing: str, status: int, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Refusing, "status", status)
    if given == "token":
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", PASSWORD)
    elif given == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    user = f"somebody:{PASSWORD}@" if given == "uri" else ""
    with pytest.raises(UserError, match="too many 500" if status == 500 else str(status)) as told:
        Tracker(f"http://{user}{refusing}", "demo")
    for secret in (PASSWORD, b64encode(f"somebody:{PASSWORD}".encode()).decode()):
        assert secret not in str(told.value)
    if status in (401, 403):
        assert "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in told.value.remedy
        assert "MLFLOW_TRACKING_TOKEN" in told.value.remedy
    assert isinstance(told.value, Unreachable) == (status == 500)


@pytest.mark.integration
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_whose_server_is_away(
    refusing: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Refusing, "status", status)
    with pytest.raises(Unreachable, match="cannot be reached"):
        Tracker(f"http://{refusing}", "demo")


@pytest.mark.parametrize(
    "uri",
    [
        f"https://somebody:{PASSWORD}@host/path",
        f"https://{PASSWORD}@host/path",
        f"postgresql+psycopg2://somebody:{PASSWORD}@host:5432/db?sslmode=require",
        f"postgresql://somebody:p@ss/{PASSWORD}@host/db",
        f"mysql://host/db?user=somebody&password={PASSWORD}",
        f"https://somebody:{PASSWORD}%21@host",
    ],
)
def test_credentials_are_blotted_out(uri: str) -> None:
    text = f"tracking:\n  uri: {uri}\n  experiment: demo require\nerror at {uri}/api: {PASSWORD}!"
    shown = without_credentials(text, uri)
    assert PASSWORD not in shown.replace(f"{PASSWORD}!", "" if "%21" not in uri else PASSWORD)
    assert "host" in shown
    assert "demo require" in shown
    assert without_credentials(text, "sqlite:////folder/mlflow.db") == text
