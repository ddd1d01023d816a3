"""A Ray that is started here as a study does: who reaches it, who reads it, and that it ends.

Its processes are looked at as a stranger would: in /proc and in the file system.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from textwrap import dedent

import psutil  # type: ignore[import-untyped]
import pytest
from rich.console import Console

from tests.ports import free_port
from tests.processes import SMOKE
from tests.waiting import until
from tuner.cluster import local_ray
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
SLOW = """
import sys
import time
from tuner.cli import start
from tuner.cluster import joining, local_ray

{limit}
start()
"""
STRANGER = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_exists(b"", None)
"""
MODULE = [sys.executable, "-m", "tuner"]
SECONDS = 120.0


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


def run(place: Path, program: Sequence[str], *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code of a search in `place`, and all that it printed."""
    (place / "ray").mkdir(exist_ok=True)
    own = {"HOME": str(place), "RAY_TMPDIR": str(place / "ray")}
    ended = subprocess.run(
        [*program, "search", str(SMOKE), "--set", "budget.trials=1", *arguments],
        cwd=place,
        env={**os.environ, **own, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        timeout=2 * SECONDS,
    )
    return ended.returncode, ended.stdout


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


@pytest.mark.slow
def test_files_of_the_current_folder_are_not_imported(place: Path) -> None:
    """A `tuner.py`, or one with a library's name, beside a user's YAML is the user's own."""
    for name in ("tuner", "torch", "random", "ray"):
        (place / f"{name}.py").write_text(f"raise SystemExit('a stranger: {name}')")
    program = str(Path(sys.executable).parent / "tuner")
    code, printed = run(place, [program])
    assert code == 0, printed
    (place / "tuner.py").unlink()  # which `-m` takes, as Python documents
    code, printed = run(place, MODULE, "--set", "name=again")
    assert code == 0, printed
    assert list((place / "ray").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RAY_TMPDIR": "/tmp/" + "longer" * 20}, "bytes long"),
        ({"RAY_TMPDIR": "", "TMPDIR": "/tmp/" + "longer" * 20}, "bytes long"),
        ({"RAY_TMPDIR": "/dev/null"}, "RAY_TMPDIR=/dev/null cannot be written"),
        ({"RAY_ADDRESS": "http://127.0.0.1:8265"}, "the address of a dashboard"),
        ({"RAY_ADDRESS": "127.0.0.1:{port}"}, "no Ray cluster answers at"),
        ({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE=disabled turns Ray's tokens off"),
    ],
)
def test_what_hinders_ray_is_one_message(variables: dict[str, str], said: str, place: Path) -> None:
    port = free_port()
    set_ = {name: value.format(port=port) for name, value in variables.items()}
    code, printed = run(place, MODULE, **set_)
    assert code == 2 and said in printed, printed
    assert "Traceback" not in printed
    assert {path.name for path in place.iterdir()} == {"ray"}
    assert list((place / "ray").iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "said", "keeps_logs"),
    [
        (
            "local_ray.START_SECONDS = 0.2",
            "Ray does not start on this machine: it did not start within",
            False,
        ),
        (
            "joining.JOIN_SECONDS = 0.2; joining.ray.init = lambda **options: time.sleep(1000)",
            "did not accept this process within",
            True,
        ),
    ],
)
def test_a_ray_that_takes_too_long_is_one_message_and_ends(
    limit: str, said: str, keeps_logs: bool, place: Path
) -> None:
    """A machine may have too much to do."""
    code, printed = run(place, [sys.executable, "-c", SLOW.format(limit=limit)])
    assert code == 2 and printed.count("error: ") == 1, printed
    problem, remedy, *_ = printed.partition("error: ")[2].splitlines()
    assert said in problem
    assert remedy.startswith("Run it again when ") and "is less busy" in remedy
    assert "Traceback" not in printed
    assert not (place / "studies" / "smoke").exists()
    ray = place / "ray"
    until(lambda: not with_argument(str(ray)), "the end of Ray's processes")
    logs = {Path(remedy.rpartition(" ")[2])} if keeps_logs else set()
    assert set(ray.glob("*/*/session/logs")) == logs
    assert len(list(ray.iterdir())) == len(logs)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("Exception: The current node timed out during startup.", "Run it again when"),
        ("it did not start within 180 s", "Run it again when"),
        ("raylet has ended while Ray was starting", "Run it again when"),
        ("RpcError: RPC error: Deadline Exceeded", "Run it again when"),
        ("OSError: [Errno 28] No space left on device", "Free space in /tmp"),
        ("ModuleNotFoundError: tuner is not installed for this Python", "Install it: pip install"),
        ("RuntimeError: of another kind", "`tuner doctor` checks what Ray needs here"),
    ],
)
def test_each_reason_has_a_remedy_of_its_own(
    reason: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    refused = local_ray._failed({"failed": reason, "logs": "/logs"}, io.BytesIO())
    assert refused.problem == f"Ray does not start on this machine: {reason}"
    assert refused.remedy.startswith(remedy)


def with_argument(part: str) -> list[int]:
    """Return the processes that have a text in one of their arguments."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if part in " ".join(each.info["cmdline"] or ())]
