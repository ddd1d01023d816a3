"""MLflow's user interface on the studies' store, for this machine alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from tuner.errors import UserError
from tuner.interrupts import as_ctrl_c
from tuner.shown import without_secrets
from tuner.tracking.store import (
    SETTINGS,
    SQLITE,
    absolute,
    artifact_folder,
    database_file,
    reach,
    without_credentials,
)
from tuner.tracking.view import newest

STARTUP = 120.0
"""Seconds that MLflow's server has to start; about 18 are usual."""


def serve(uri: str, storage: Path, port: int, announce: Callable[[str, str], None]) -> None:
    """Run MLflow's user interface on `uri` until Ctrl-C, for this machine alone.

    Args:
        uri: the store; of a server that already runs, its address is announced, and that is all.
        storage: folder of the studies; what is uploaded through the interface stays in it.
        port: where it listens, on 127.0.0.1.
        announce: is told the address once it answers, and that of the newest study's view (empty
            where there is none, or the server is not ours).

    Raises:
        UserError: there is no store, the port is taken, or the server ended by itself.
    """
    if urlsplit(uri).scheme in ("http", "https"):
        announce(without_secrets(uri), "")
        return
    uri = absolute(uri)  # the server stands elsewhere
    if uri.startswith(SQLITE) and not os.path.isfile(database_file(uri)):
        raise UserError(
            f"there is no MLflow store at {database_file(uri)}",
            "Run a search first, or name the folder of the studies with --storage.",
        )
    if not os.path.isdir(storage):
        raise UserError(
            f"there is no folder {storage}", "Name the folder of the studies with --storage."
        )
    reach(uri)
    _check_port(port)
    artifacts = str(artifact_folder(uri) or storage.resolve() / "mlartifacts")
    options = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--artifacts-destination": artifacts,
        "--default-artifact-root": artifacts,
        "--uvicorn-opts": "--log-level warning",
    }
    command = [sys.executable, "-P", "-m", "mlflow", "server"]
    command += [word for option in options.items() for word in option]
    environment = {
        **SETTINGS,
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: `ps` would show its password
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with tempfile.TemporaryFile() as log, as_ctrl_c():
        server = subprocess.Popen(
            command,
            env=environment,
            cwd=storage,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that its workers end with it
        )
        try:
            if _answers(server, port):
                root = f"http://127.0.0.1:{port}"
                view = newest(_experiments(port))
                announce(root, root + view if view else "")
                server.wait()
            raise _failed(log, uri)
        except KeyboardInterrupt:
            return
        finally:
            _end_group(server)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used: {error.strerror}", "Choose another one with --port."
            ) from None


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it does; no proxy comes in between."""
    deadline = time.monotonic() + STARTUP
    while server.poll() is None and time.monotonic() < deadline:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection, suppress(OSError):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        time.sleep(0.2)
    return False


def _experiments(port: int) -> list[Any]:
    """All experiments with their tags, asked of the server itself."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        body = json.dumps({"max_results": 1000})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/2.0/mlflow/experiments/search", body, headers)
        found: list[Any] = json.load(connection.getresponse()).get("experiments", [])
        return found


def _failed(log: IO[bytes], uri: str) -> UserError:
    log.seek(0)
    last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    return UserError(
        without_credentials(f"MLflow's server ended: {''.join(last) or 'it said nothing'}", uri),
        "Try again; if it persists, run `mlflow server` by hand to see all that it says.",
    )


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group: asked first, then made to."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        server.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
