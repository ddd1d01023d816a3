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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tuner.errors import UserError
from tuner.machine import memory
from tuner.search.credentials import DISABLED, auth_mode
from tuner.search.local_head import NOT_INSTALLED

HEAD = Path(__file__).with_name("local_head.py")
START_SECONDS = 180.0
"""For Ray's start. Where it comes so far as to have limits of its own, these end it before."""
END_SECONDS = 20.0
"""For its end, after which it is left alone: it ends by itself."""
LONGEST = 50
"""Bytes of the folder's path below which Ray's sockets lie: 57 more have to fit into the 107 that
the path of a socket may have."""
PASSING = ("timed out", "within", "while Ray was starting", "Deadline Exceeded")
"""Words of reasons that a later start may not meet."""
SETTINGS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Of Ray's processes, beside the token: addresses are the loopback's, nothing is reported."""


@dataclass(frozen=True)
class LocalRay:
    """A Ray that was started here.

    Attributes:
        address: of its GCS, as `127.0.0.1:PORT`.
        logs: the folder of its logs, which goes when Ray does.
    """

    address: str
    logs: Path
    _process: subprocess.Popen[str]

    def keep_logs(self) -> None:
        """Leave the logs where they are when Ray ends: somebody is told to read them."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, and its files with it
            os.write(self._process.stdin.fileno(), b"k")


@contextmanager
def local_ray(cpus: int) -> Iterator[LocalRay]:
    """Start Ray on this machine; it ends with the block, and whenever this process does.

    Within the block the environment of this process lets it in, and those that it starts.

    Args:
        cpus: for trials.

    Raises:
        UserError: it does not start; says why, and where its logs are.
    """
    open_ = auth_mode() == DISABLED  # which the command has been told to take
    token = {} if open_ else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ours = SETTINGS | token
    with _variables(ours), tempfile.TemporaryFile() as errors, _head(cpus, errors) as process:
        said = _first_line(process)
        if "address" not in said:
            raise _failed(said, errors)
        with _let_in():
            yield LocalRay(said["address"], Path(said["logs"]), process)


@contextmanager
def _head(cpus: int, errors: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    asked = json.dumps({"folder": str(scratch()[1]), "cpus": cpus, "memory": memory()})
    process = subprocess.Popen(
        [sys.executable, "-P", str(HEAD), asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
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
    """The folder below which Ray keeps sockets and logs, and the variable that names it, if any."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if folder := os.environ.get(name):
            return name, Path(folder).absolute()
    return "", Path("/tmp")


def check_folder() -> None:
    """Refuse a temporary folder in which Ray cannot start.

    Raises:
        UserError: it is not there, cannot be written, or its path is too long for sockets.
    """
    name, folder = scratch()
    shown = f"{name}={folder}" if name else str(folder)
    other = "Name another folder for Ray's files: RAY_TMPDIR=/tmp"
    length = len(os.fsencode(folder))
    if length > LONGEST:
        raise UserError(
            f"{shown} is {length} bytes long, and Ray's sockets lie below it: {LONGEST} at most",
            f"{other}. Nothing else has to move.",
        )
    try:
        with tempfile.TemporaryDirectory(dir=folder):
            return
    except OSError as error:
        raise UserError(
            f"{shown} cannot be written, and Ray keeps its files there: {error.strerror}",
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
    return {"failed": f"it has not started within {START_SECONDS:.0f} s"}


def _failed(said: Mapping[str, Any], errors: IO[bytes]) -> UserError:
    """What is said of a Ray that has not started: why, and where its own logs are."""
    errors.seek(0)
    printed = errors.read().decode(errors="replace").strip().splitlines()
    reason = said.get("failed") or (printed[-1] if printed else "its process has ended")
    logs = f" Ray's own logs say more: {said['logs']}" if said.get("logs") else ""
    if NOT_INSTALLED in reason:
        remedy = "Install it: pip install -e . -c constraints.txt"
    elif any(words in reason for words in PASSING):
        remedy = f"Run it again when less is going on here.{logs}"
    elif "No space left" in reason or "Disk quota" in reason:
        remedy = f"Free some in {scratch()[1]}, or name another folder: RAY_TMPDIR=FOLDER.{logs}"
    else:
        remedy = f"`tuner doctor` looks at what Ray needs here.{logs}"
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
    """Let Ray take 127.0.0.1 for this machine, and heed the variables that were set."""
    from ray._private import ray_constants
    from ray._raylet import (  # type: ignore[attr-defined]
        AuthenticationTokenLoader,
        Config,
    )

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
