"""A private Ray on this machine for one study: on loopback only, and ended with the driver."""

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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tuner.cluster.credentials import DISABLED, auth_mode
from tuner.cluster.local_head import NOT_INSTALLED
from tuner.cluster.machine import memory
from tuner.cluster.private import on_loopback, read_environment_again
from tuner.errors import UserError

HEAD = Path(__file__).with_name("local_head.py")
START_SECONDS = 180.0
"""Time limit for Ray's start. Ray's own limits are shorter where they apply."""
END_SECONDS = 20.0
"""Seconds to wait for Ray's end; after that it is left to end by itself."""
MAX_PATH_BYTES = 50
"""Largest length in bytes of the path of Ray's parent folder: sockets add 57 bytes, and a socket's
path may have 107."""
PASSING = ("timed out", "within", "while Ray was starting", "Deadline Exceeded")
"""Parts of reasons that a later start may not meet."""
SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Environment of Ray's processes besides the token: loopback addresses, no usage reports."""


@dataclass(frozen=True)
class LocalRay:
    """A Ray that runs on this machine.

    Attributes:
        address: address of its GCS, `127.0.0.1:PORT`.
        logs: the folder of its logs, which is deleted when Ray ends.
    """

    address: str
    logs: Path
    _process: subprocess.Popen[str]

    def keep_logs(self) -> None:
        """Keep the logs when Ray ends, because an error message points the user to them."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # Ray has ended, and its files are gone
            os.write(self._process.stdin.fileno(), b"k")


@contextmanager
def local_ray(cpus: int, variables: Mapping[str, str]) -> Iterator[LocalRay]:
    """Start Ray on this machine; it ends with the block or when this process ends.

    Within the block, the environment gives this process and its children access to Ray.

    Args:
        cpus: CPUs for trials.
        variables: environment variables of Ray's workers.

    Raises:
        UserError: Ray did not start; the message says why, and where its logs are.
    """
    open_ = auth_mode() == DISABLED  # the user has given --insecure
    token = {} if open_ else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ours = SETTINGS | token
    with (
        _variables(ours),
        tempfile.TemporaryFile() as errors,
        _head(cpus, variables, errors) as process,
    ):
        said = _first_line(process)
        if "address" not in said:
            raise _failed(said, errors)
        with _let_in():
            yield LocalRay(said["address"], Path(said["logs"]), process)


@contextmanager
def _head(
    cpus: int, variables: Mapping[str, str], errors: IO[bytes]
) -> Iterator[subprocess.Popen[str]]:
    asked = json.dumps({"folder": str(scratch()[1]), "cpus": cpus, "memory": memory()})
    process = subprocess.Popen(
        [sys.executable, "-P", str(HEAD), asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **variables},
        encoding="utf-8",
        errors="replace",
        bufsize=1,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        process.stdout.close()


def scratch() -> tuple[str, Path]:
    """Return the variable that names Ray's parent folder for sockets and logs, and the folder.

    The variable's name is empty if none is set.
    """
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if folder := os.environ.get(name):
            return name, Path(folder).absolute()
    return "", Path("/tmp")


def check_folder() -> None:
    """Refuse a temporary folder in which Ray cannot start.

    Raises:
        UserError: the folder is missing or not writable, or its path is too long for sockets.
    """
    name, folder = scratch()
    shown = f"{name}={folder}" if name else str(folder)
    other = "Name another folder for Ray's files: RAY_TMPDIR=/tmp"
    length = len(os.fsencode(folder))
    if length > MAX_PATH_BYTES:
        raise UserError(
            f"{shown} is {length} bytes long, but at most {MAX_PATH_BYTES} leave "
            "room for Ray's sockets",
            f"{other}. Nothing else has to move.",
        )
    try:
        with tempfile.TemporaryDirectory(dir=folder):
            return
    except OSError as error:
        raise UserError(
            f"{shown} cannot be written, but Ray keeps its files there: {error.strerror}",
            f"{other}, or another one that you may write to.",
        ) from None


def _first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            line = process.stdout.readline()
            said: dict[str, Any] = json.loads(line) if line else {}
            return said
    return {"failed": f"it did not start within {START_SECONDS:.0f} s"}


def _failed(said: Mapping[str, Any], errors: IO[bytes]) -> UserError:
    """Return the error for a Ray that did not start: the reason, and where its logs are."""
    errors.seek(0)
    printed = errors.read().decode(errors="replace").strip().splitlines()
    reason = said.get("failed") or (printed[-1] if printed else "its process has ended")
    logs = f" Ray's own logs say more: {said['logs']}" if said.get("logs") else ""
    if NOT_INSTALLED in reason:
        remedy = "Install it: pip install -e . -c constraints.txt"
    elif any(part in reason for part in PASSING):
        remedy = f"Run it again when this machine is less busy.{logs}"
    elif "No space left" in reason or "Disk quota" in reason:
        remedy = f"Free space in {scratch()[1]}, or name another folder: RAY_TMPDIR=FOLDER.{logs}"
    else:
        remedy = f"`tuner doctor` checks what Ray needs here.{logs}"
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
def _let_in() -> Iterator[None]:
    """Make Ray accept 127.0.0.1 as this machine and read the variables that were set."""
    read_environment_again()
    with on_loopback():
        yield
