"""A real MLflow server that asks for a login, and the network on the way to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path

from tests.ports import free_port

ADMIN = "admin"
AUTH = f"""[mlflow]
admin_username = {ADMIN}
database_uri = sqlite:///auth.db
default_permission = READ
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""  # half a second a request where every password is checked anew
STARTUP = 300.0  # seconds; about 18 are usual
METHODS = (b"GET ", b"POST ", b"PATCH ", b"DELETE ", b"PUT ")


class Server:
    """`mlflow server --app-name basic-auth` on a database of its own; always at the same port."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "server.log"
        (folder / "auth.ini").write_text(AUTH)
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if "MLFLOW" not in name},
            "HOME": str(folder),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }

    def start(self) -> None:
        options = {
            "--app-name": "basic-auth",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination": str(self.folder / "mlartifacts"),
        }
        command = [sys.executable, "-m", "mlflow", "server"]
        command += [word for option in options.items() for word in option]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + STARTUP
        while not self._answers():
            assert self._process is not None and self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """End all at once, as if the machine were lost."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Network:
    """Between a tracker and its server: counts requests, delays them, loses answers.

    Attributes:
        delay: seconds by which each request is held up.
        loses: whether the answer to a request (`POST /api/…/runs/create`) breaks off after its
            first bytes, or before its last; the server has done what it was asked by then.
        requests: all so far.
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.loses: Callable[[str], bool] = lambda request: False
        self.requests: list[str] = []
        self.parts = cycle((slice(0), slice(20), slice(-5)))  # of an answer, where it is lost
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in `accept`; closing does not
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server), 5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                way = _Way(self, client, server)
                for pump in (way.up, way.down):
                    threading.Thread(target=pump, daemon=True).start()


class _Way:
    """One connection."""

    def __init__(self, network: Network, client: socket.socket, server: socket.socket) -> None:
        self.network, self.client, self.server = network, client, server
        self.request = ""

    def up(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(65536):
                if data.startswith(METHODS):
                    self.request = data.partition(b" HTTP")[0].decode()
                    self.network.requests.append(self.request)
                    time.sleep(self.network.delay)
                self.server.sendall(data)
        self.end()

    def down(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                if data.startswith(b"HTTP/") and self.network.loses(self.request):
                    self.client.sendall(data[next(self.network.parts)])
                    break
                self.client.sendall(data)
        self.end()

    def end(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
