"""A Ray that is started here as a study does: who reaches it, who reads it, and that it ends.

Its processes are looked at as a stranger would: in /proc and in the file system.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from textwrap import dedent

import psutil  # type: ignore[import-untyped]
import pytest
from rich.console import Console

from tests.cluster.examples import SECONDS
from tuner.cluster import ray as cluster
from tuner.cluster.local_ray import MAX_PATH_BYTES
from tuner.errors import UserError
from tuner.terminal.progress import ConsoleProgress

pytestmark = pytest.mark.integration

DRIVER = """
import json
import sys
import ray
from rich.console import Console
from tuner.cluster.ray import cluster
from tuner.terminal.progress import ConsoleProgress

with cluster(ConsoleProgress(Console(quiet=True)), None, meanwhile=lambda: None):
    @ray.remote
    def path() -> list[str]:
        return sys.path
    address = ray.get_runtime_context().gcs_address
    cpus = ray.cluster_resources()["CPU"]
    print(json.dumps([address, cpus, ray.get(path.remote())]), flush=True)
    sys.stdin.readline()
"""
STRANGER = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_exists(b"", None)
"""


@pytest.fixture
def folder(place: Path) -> Path:
    """The folder of Ray's files, by a path as long as is allowed."""
    folder = place / ("f" * (MAX_PATH_BYTES - len(str(place)) - 1))
    folder.mkdir()
    assert len(str(folder)) == MAX_PATH_BYTES
    return folder


@pytest.fixture
def driver(place: Path, folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a driver on one CPU; it has joined its own Ray when it prints a line.

    It ends with its input.
    """
    started: list[subprocess.Popen[str]] = []

    def start(**variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", dedent(DRIVER)],
            cwd=place,
            env={**os.environ, "HOME": "/dev/null", "RAY_TMPDIR": str(folder), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def of_ray(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """All processes below a driver; more than its head, the GCS and the raylet."""
    below: list[psutil.Process] = psutil.Process(driver.pid).children(recursive=True)
    assert {"gcs_server", "raylet"} <= {process.name() for process in below}
    return below


def answers_without_a_token(address: str) -> bool:
    """Return whether a GCS does what a stranger on this machine asks of it."""
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "HOME": "/dev/null"}
    code = [sys.executable, "-c", STRANGER, address]
    asked = subprocess.run(code, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert asked.returncode == 0 or "nauthenticated" in asked.stderr, asked.stderr
    return asked.returncode == 0


def assert_gone(below: list[psutil.Process], folder: Path) -> None:
    """The processes end and the folder is empty, soon."""
    _, alive = psutil.wait_procs(below, timeout=SECONDS)
    assert not alive
    deadline = time.monotonic() + SECONDS
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(folder.iterdir()) == []


def test_nobody_else_reaches_or_reads_it(
    driver: Callable[..., subprocess.Popen[str]], place: Path, folder: Path
) -> None:
    """Sockets on loopback alone, files below a private folder, tokens on, no home needed.

    It has no more CPUs than its driver, whatever the machine has.
    """
    process = driver()
    assert process.stdout is not None
    address, cpus, path = json.loads(process.stdout.readline())
    assert cpus == 1
    assert str(place) not in path, "workers import from there"
    below = of_ray(process)
    listening = [
        (each.name(), socket.laddr.ip.removeprefix("::ffff:"), socket.laddr.port)
        for each in (psutil.Process(process.pid), *below)
        for socket in each.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 5
    assert [each for each in listening if not ip_address(each[1]).is_loopback] == []
    (private,) = folder.iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert not answers_without_a_token(address)
    assert process.communicate("\n", timeout=SECONDS)[0] == ""
    assert process.returncode == 0
    assert_gone(below, folder)


def test_it_ends_where_its_driver_is_killed(
    driver: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    """Also if the user has turned tokens off, which leaves it open."""
    process = driver(RAY_AUTH_MODE="disabled")
    assert process.stdout is not None
    assert answers_without_a_token(json.loads(process.stdout.readline())[0])
    below = of_ray(process)
    sessions = {os.getsid(each.pid) for each in below}
    assert os.getsid(process.pid) not in sessions, "signals to the driver's group reach it"
    named = re.compile(
        r"local_head\.py|/gcs_server |/raylet/raylet "
    )  # the others are Ray's affair
    stay = [each for each in below if named.search(" ".join(each.cmdline()))]
    assert len(stay) == 3
    for each in below:
        each.send_signal(signal.SIGTERM)  # as a service manager does to each of a job
    assert psutil.wait_procs(stay, timeout=1)[0] == []
    process.kill()
    assert_gone(below, folder)


def test_logs_that_are_named_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where the reason may be if this process is not let in."""

    def refuse(**options: object) -> None:
        raise RuntimeError("not in here")

    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster.ray, "init", refuse)
    progress = ConsoleProgress(Console(quiet=True))
    with pytest.raises(UserError, match="not in here") as refused:
        cluster.cluster(progress, None, meanwhile=lambda: None).__enter__()
    logs = Path(refused.value.remedy.rpartition(" ")[2])
    assert logs.is_relative_to(folder) and list(logs.glob("gcs_server*"))
