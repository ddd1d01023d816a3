"""Ports for the servers that tests start: free ones, and never the same one twice."""

from __future__ import annotations

import random
import socket

_PORTS = random.SystemRandom().sample(range(20_000, 32_000), 12_000)
"""Above those of Ray's workers and below those from which the kernel takes one for a connection:
there, a port that was free may be taken before its server listens."""


def free_port() -> int:
    while True:
        port = _PORTS.pop()
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:  # somebody listens there
            continue
        return port
