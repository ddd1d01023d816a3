"""Conditions of every test: one thread, nobody's cluster, fixed examples, honest tiers.

A module that starts Ray, MLflow or another process throughout says so at its top, `pytestmark =
pytest.mark.integration`: then the fast tier does not even import it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import settings
from upath import UPath

from tests.ports import free_port
from tests.waiting import Within
from tuner.storage.location import located

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; the processes of tests read it
# A shell ignores SIGINT in its background, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
    os.environ.pop(_name, None)  # no test joins somebody's cluster or writes to their server

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

FirstUse = tuple[Path, subprocess.CompletedProcess[str]]

OTHER_TIERS = ("integration", "slow")
LONG, TOO_LONG = 1.0, 5.0
"""CPU seconds of a unit test: reported; and refused where `--strict-times` asks for it. A test run
must not depend on the speed of its machine."""
SLOW = "slow"
"""Property of such a test: CPU seconds it took, and those it wants to stay under."""

fast_tier = pytest.StashKey[bool]()
slow_tests = pytest.StashKey[dict[str, tuple[float, float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    told = f"fail unit tests that take over {TOO_LONG:g} CPU seconds, on an idle machine"
    parser.addoption("--strict-times", action="store_true", help=told)


@pytest.fixture(autouse=True)
def _no_machine_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep silent what a log says of long tasks only: it depends on the machine."""
    monkeypatch.setattr("tuner.terminal.progress.LOG_AFTER", 3600.0)


@pytest.fixture(scope="session")
def pawsx_dir() -> Path:
    """Real PAWS-X text, in the official layout."""
    folder = os.environ.get("PAWSX_DIR")
    if not folder:
        pytest.skip("real text is not here: PAWSX_DIR names no folder in the PAWS-X layout")
    return Path(folder)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server, moto's, in a process of its own on a free port.

    The one of all tests: what s3fs has connected with once, it keeps to, whatever the environment
    says later.
    """
    log = tmp_path_factory.mktemp("s3") / "log"
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> UPath:
    """The folder `studies` of a new bucket; what reaches it is in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    folder = located(f"s3://bucket-{uuid.uuid4().hex[:8]}/studies")
    assert isinstance(folder, UPath)
    folder.fs.mkdir(folder.drive)
    return folder


@pytest.fixture(scope="session")
def first_use(tmp_path_factory: pytest.TempPathFactory) -> FirstUse:
    """A store made by a process that stands where MLflow would find an old ./mlruns."""
    folder = tmp_path_factory.mktemp("first use")
    (folder / "mlruns" / "0").mkdir(parents=True)
    (folder / "mlruns" / "0" / "meta.yaml").write_text("name: old\n")
    code = (
        "from pathlib import Path; from tuner.tracking import Tracker, default_uri; "
        "Tracker(default_uri(Path('studies')), 'demo')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    return folder, made


@pytest.fixture(scope="session")
def empty_mlflow(first_use: FirstUse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store, to be copied: making one takes MLflow seconds."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    shutil.copy(first_use[0] / "studies" / "mlflow.db", path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM experiment_tags")
        database.execute("DELETE FROM experiments WHERE name = 'demo'")
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Callable[[str, str], str]:
    """Runs Python code in a folder that is a file system of its own, of a size as `4m`."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    mount = 'mount -t tmpfs -o size="$1" none "$2"'

    def run(size: str, code: str) -> str:
        folder = tmp_path / "disk"
        folder.mkdir()
        arguments = [size, str(folder), sys.executable, dedent(code)]
        if subprocess.run(
            [*namespace, "sh", "-c", mount, "sh", *arguments], check=False
        ).returncode:
            pytest.skip("this machine lets no user mount a file system of their own")
        script = f'{mount} && cd "$2" && exec "$3" -c "$4"'
        command = [*namespace, "sh", "-c", script, "sh", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    return run


@pytest.fixture(autouse=True)
def _no_ray_in_the_fast_tier(pytestconfig: pytest.Config) -> Iterator[None]:
    yield
    if pytestconfig.stash[fast_tier] and "ray" in sys.modules:
        pytestconfig.stash[fast_tier] = False  # said once
        told = "the fast tier imports no Ray, but this test or a fixture of it did"
        pytest.fail(told, pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[slow_tests] = {}
    config.pluginmanager.register(_Times(config.stash[slow_tests]))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import modules that are wholly of a tier that `-m` leaves out."""
    left_out = [tier for tier in OTHER_TIERS if f"not {tier}" in config.option.markexpr]
    if collection_path.suffix == ".py" and left_out:
        wholly = rf"^pytestmark = .*\bmark\.({'|'.join(left_out)})\b"
        if re.search(wholly, collection_path.read_text(encoding="utf-8"), re.MULTILINE):
            return True
    return None


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[fast_tier] = all(_is_unit(item) for item in session.items)
    if session.config.stash[fast_tier] and "ray" in sys.modules:
        raise pytest.UsageError("the fast tier imports no Ray, but a test module of it does")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start other processes' tests first: side by side with the rest, the longest end in time."""
    items.sort(key=_is_unit)


@pytest.fixture
def within(request: pytest.FixtureRequest) -> Within:
    """Times a block in CPU seconds, its processes' included, against so many of an idle machine.

    More are reported, and fail the test where `--strict-times` asks for it.
    """

    @contextmanager
    def timed(limit: float) -> Iterator[None]:
        before = sum(os.times()[:4])
        yield
        _judge(request.node, sum(os.times()[:4]) - before, limit, limit)

    return timed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Time unit tests without their fixtures."""
    start = time.process_time()
    yield
    if _is_unit(item) and not item.get_closest_marker("takes_long"):
        _judge(item, time.process_time() - start, LONG, TOO_LONG)


def _judge(test: pytest.Item, took: float, wanted: float, most: float) -> None:
    if took > wanted:
        test.user_properties.append((SLOW, (took, wanted)))
    if took > most and test.config.option.strict_times:
        told = f"{took:.1f} CPU seconds: make it shorter, or mark why it takes_long(reason)"
        pytest.fail(told, pytrace=False)


class _Times:
    """Gathers what tests took, in the process that reports: they may run in others."""

    def __init__(self, slow: dict[str, tuple[float, float]]) -> None:
        self._slow = slow

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and SLOW in dict(report.user_properties):
            self._slow[report.nodeid] = dict(report.user_properties)[SLOW]


def pytest_unconfigure() -> None:
    """End the thread of s3fs, which would else still run while the interpreter is taken down."""
    if (asyn := sys.modules.get("fsspec.asyn")) and asyn.loop[0] is not None:
        asyn.loop[0].call_soon_threadsafe(asyn.loop[0].stop)
        asyn.iothread[0].join(10)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for test, (took, wanted) in sorted(config.stash[slow_tests].items()):
        told = f"{test} took {took:.1f} CPU seconds: on an idle machine it stays under {wanted:g}"
        terminalreporter.write_line(told)


def _is_unit(item: pytest.Item) -> bool:
    return not any(item.get_closest_marker(tier) for tier in OTHER_TIERS)
