"""A stand-in for a cluster's dashboard where no Ray is wanted: it answers as Ray's was seen to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import pytest


class Dashboard(ThreadingHTTPServer):
    """Attributes say how it answers; `asked` is what it was asked, `stored` what was put there."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.token: str | None = "the-token"
        self.ray = version("ray")
        self.pages: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.stored: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Dashboard

    def do_GET(self) -> None:
        self._answer("GET")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, method: str) -> None:
        server, given = self.server, self.headers.get("Authorization")
        server.asked.append((method, self.path, given))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.rpartition("/")[2]
        if self.path in server.pages:
            self._send(*server.pages[self.path])
        elif server.token is not None and given is None:
            self._send(401, b"Unauthorized: Missing authentication token")
        elif server.token is not None and given != f"Bearer {server.token}":
            self._send(403, b"Forbidden: Invalid authentication token")
        elif self.path == "/api/version":
            self._send(200, json.dumps({"version": "4", "ray_version": server.ray}).encode())
        elif method == "PUT":
            server.stored[name] = body
            self._send(200, b"")
        elif name in server.stored:
            self._send(200, b"")
        else:
            self._send(404, f"{self.path} does not exist".encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    with Dashboard() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_token_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Nobody's cluster is asked, and nobody's token is sent."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_API_SERVER_ADDRESS", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
