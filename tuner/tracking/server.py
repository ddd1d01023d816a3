"""`tuner ui`: MLflow's user interface on the studies' store, for this machine alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from tuner.errors import UserError
from tuner.interrupts import as_ctrl_c, ignored
from tuner.shown import printable, without_secrets
from tuner.study.parts import SQLITE
from tuner.timing import Late, within
from tuner.tracking.addresses import (
    absolute,
    artifact_folder,
    database_file,
    without_credentials,
)
from tuner.tracking.store import SETTINGS, connect
from tuner.tracking.view import newest

ERROR = re.compile(r"^([\w.]+\.)?[A-Z]\w*(Error|Exception|Exit)\b|\b(ERROR|CRITICAL|Error:)")
"""Lines of a server's log that report an error: the last of a traceback, or one marked so."""
MAX_LENGTH = 500
"""Most characters of such a line that are shown."""
STARTUP = 120.0
"""Seconds that MLflow's server has to start; about 18 are usual."""


def serve(uri: str, storage: Path, port: int, announce: Callable[[str, str], None]) -> None:
    """Run MLflow's user interface on `uri` until Ctrl-C, for this machine alone.

    Args:
        uri: the address of the store; if it is a running server, its address is only announced.
        storage: folder of the studies; it holds uploads through the interface unless the store
            has its own folder.
        port: the port to listen on, at 127.0.0.1.
        announce: called with the address once the server answers, and with the address of the
            newest study's view ("" if there is none, or the server is not ours).

    Raises:
        UserError: the store is missing, the port is taken, or the server ended by itself.
    """
    if urlsplit(uri).scheme in ("http", "https"):
        announce(without_secrets(uri), "")
        return
    uri = absolute(uri)  # the server has another working folder
    if uri.startswith(SQLITE) and not os.path.isfile(database_file(uri)):
        raise UserError(
            f"there is no MLflow store at {database_file(uri)}",
            "Run a search first, or name the folder of the studies with --storage.",
        )
    if not os.path.isdir(storage):
        raise UserError(
            f"there is no folder {storage}", "Name the folder of the studies with --storage."
        )
    _check_port(port)
    connect(uri)  # or errors of the store would hide in the server's log
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
                view = _views(port)
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
    """Wait until the server answers, without a proxy; return whether it does."""
    deadline = time.monotonic() + STARTUP
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            return within(deadline - time.monotonic(), partial(_health, port), "MLflow") == 200
        time.sleep(0.2)
    return False


def _health(port: int) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/health")
        return connection.getresponse().status


def _views(port: int) -> str:
    """Ask the server for the address of the newest study's view; return "" without an answer."""
    try:
        return newest(within(60.0, partial(_experiments, port), "MLflow"))
    except Late:
        return ""


def _experiments(port: int) -> list[Any]:
    """Return the server's experiments with their tags, at most 1,000."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        body = json.dumps({"max_results": 1000})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/2.0/mlflow/experiments/search", body, headers)
        found: list[Any] = json.load(connection.getresponse()).get("experiments", [])
        return found


def _failed(log: IO[bytes], uri: str) -> UserError:
    log.seek(0)
    said = reason(log.read().decode(errors="replace"))
    by_hand = f"{shlex.quote(sys.executable)} -m mlflow server --backend-store-uri"
    return UserError(
        without_credentials(f"MLflow's server ended: {said}", uri),
        "Try again; if it persists, see its full output with: "
        + without_credentials(f"{by_hand} {shlex.quote(uri)}", uri),
    )


def reason(log: str) -> str:
    """Return why a server ended: the last error in its log, or else the log's last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.search(line)]
    return printable((errors or lines or ["it said nothing"])[-1])[:MAX_LENGTH]


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a process and its group by SIGTERM, then SIGKILL, while ignoring signals here."""
    with ignored():
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
