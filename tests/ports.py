"""Ports for the servers that tests start: free ones, and never the same one twice."""

from __future__ import annotations

import os
import random
import socket

_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
"""Tests run in several processes side by side, and each has ports of its own."""
_PORTS = list(range(20_000 + _PROCESS, 32_000, _PROCESSES))
"""Above those of Ray's workers and below those from which the kernel takes one for a connection:
there, a port that was free may be taken before its server listens."""
random.SystemRandom().shuffle(_PORTS)


def free_port() -> int:
    while True:
        port = _PORTS.pop()
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:  # somebody listens there
            continue
        return port
