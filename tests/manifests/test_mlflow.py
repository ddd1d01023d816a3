"""MLflow for a team, cluster/mlflow: started as it is there, on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.manifests.manifests import FOLDER
from tests.ports import free_port
from tests.tracking.server import STARTUP

pytestmark = pytest.mark.integration

MLFLOW = FOLDER / "mlflow"
NAME, PASSWORD = "mlflow.example.org", "of this test alone"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which serve.sh serves, on a database of SQLite instead of PostgreSQL."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if "MLFLOW" not in name},
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "MLFLOW_NAME": NAME,
        "MLFLOW_LISTEN_PORT": str(port),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
        "MLFLOW_WORKERS": "1",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", str(MLFLOW / "serve.sh")],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTUP
        while status(port) is None:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.5)
        arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert PASSWORD not in arguments
        assert "sqlite" not in arguments
        [logins] = [path for path in folder.glob("tmp.*") if path.is_file()]
        assert logins.stat().st_mode & 0o777 == 0o600
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def status(
    port: int, host: str = NAME, login: str | None = None, origin: str | None = None
) -> int | None:
    """Return the status of the answer to a request for an experiment; None: no answer yet."""
    headers = {"Host": host, "Content-Type": "application/json"}
    if login:
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    if origin:
        headers["Origin"] = origin
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"name": f"experiment {time.monotonic_ns()}"})
    try:
        connection.request("POST", "/api/2.0/mlflow/experiments/create", body, headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_only_who_has_a_login_and_comes_by_its_name_is_served(port: int) -> None:
    login = f"admin:{PASSWORD}"
    assert status(port, login=login) == 200
    assert status(port) == 401
    assert status(port, login="admin:password1234") == 401
    assert status(port, login=login, host="elsewhere.example.org") == 403
    assert status(port, login=login, origin="https://elsewhere.example.org") == 403
