"""Ray on this machine: for one study, on loopback alone, private, and gone when the driver is."""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tuner.errors import UserError

HEAD = Path(__file__).with_name("local_head.py")
START_SECONDS = 180.0
"""For Ray's start: its own limits end it before, where it comes so far as to have some."""
END_SECONDS = 20.0
"""For its end, after which it is left alone: it ends by itself."""
SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Of Ray's processes: whoever has no token is refused; addresses are of the loopback."""


@dataclass(frozen=True)
class LocalRay:
    """A Ray that was started here.

    Attributes:
        address: of its GCS, as `127.0.0.1:PORT`.
        logs: the folder of its logs.
        said: lines that its head writes from now on, as JSON.
    """

    address: str
    logs: Path
    said: IO[str]

    def lost(self) -> str | None:
        """The process of Ray's that has died, if one has; returns at once."""
        if not select.select([self.said], [], [], 0)[0]:
            return None
        line = self.said.readline()
        return str(json.loads(line)["died"]) if line else "its head"


@contextmanager
def local_ray(cpus: int) -> Iterator[LocalRay]:
    """Start Ray on this machine; it ends with the block, and whenever this process does.

    Within the block the environment of this process lets it in, and those that it starts.

    Args:
        cpus: for trials.

    Raises:
        UserError: it does not start; says why, and where its logs are.
    """
    ours = SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _variables(ours), tempfile.TemporaryFile() as errors, _head(cpus, errors) as process:
        assert process.stdout is not None
        said = _first_line(process)
        if "address" not in said:
            raise _failed(said, errors)
        with _on_loopback():
            yield LocalRay(said["address"], Path(said["logs"]), process.stdout)


@contextmanager
def _head(cpus: int, errors: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    asked = json.dumps({"folder": temporary_folder(), "cpus": cpus})
    process = subprocess.Popen(
        [sys.executable, "-P", str(HEAD), asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        finally:
            process.stdout.close()


def temporary_folder() -> str:
    """Below it Ray keeps its sockets and logs: where Ray itself would, in a folder of our own."""
    return os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            line = process.stdout.readline()
            said: dict[str, Any] = json.loads(line) if line else {}
            return said
    return {"failed": f"it has not started within {START_SECONDS:.0f} s"}


def _failed(said: Mapping[str, Any], errors: IO[bytes]) -> UserError:
    errors.seek(0)
    printed = errors.read().decode(errors="replace").strip().splitlines()
    reason = said.get("failed") or (printed[-1] if printed else "its process ended")
    logs = said.get("logs")
    remedy = f"Ray's own logs say more: {logs}" if logs else "See whether Ray runs here: ray start"
    return UserError(f"Ray does not start on this machine: {reason}", remedy)


@contextmanager
def _variables(ours: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this machine, and read the variables that were set."""
    from ray._private import ray_constants
    from ray._raylet import Config  # type: ignore[attr-defined]

    Config.initialize("")
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
