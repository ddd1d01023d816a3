"""Real clusters on this machine to be looked at: a head, nodes that come and go, and the doctor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import ray

from tests.chaos.study import Place
from tests.ports import free_port

STORE = 100 * 2**20
"""Bytes of shared memory for the objects of a node; Ray takes no less than 75 MiB."""
STARTED = "Ray runtime started"
SERVED = """
import io, json, os, sys
from contextlib import redirect_stdout
from tuner.cli import app
for line in sys.stdin:
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            code = app(json.loads(line), standalone_mode=False)
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
    print(json.dumps([code, printed.getvalue()]), flush=True)
"""


class Cluster:
    """A head without CPUs; everything has its own HOME, temporary folder, ports and token.

    Args:
        token: whether it asks for one.
    """

    def __init__(self, token: bool) -> None:
        self.place = Place()
        self.storage = self.place.folder / "studies"
        self.token = self.place.folder / "driver" / ".ray" / "auth_token"
        self._port, self._dashboard = free_port(), free_port()
        self.environment = self.place.environment("driver") | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token" if token else "disabled",
            "HF_HOME": str(self.place.folder / "hub"),
            "HF_HUB_OFFLINE": "1",
        }
        self.token.parent.mkdir()
        self.token.touch(0o600)
        self.token.write_text("t" * 64)
        options = {
            "port": self._port,
            "ray-client-server-port": free_port(),
            "dashboard-port": self._dashboard,
            "num-cpus": 0,
            "num-gpus": 0,
        }
        self._head = self._start(["--head", "--disable-usage-stats"], options, "head.txt")
        self._wait_for_dashboard()

    @property
    def address(self) -> str:
        return f"{ray.util.get_node_ip_address()}:{self._port}"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self._dashboard}"

    @contextmanager
    def node(
        self,
        options: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> Iterator[None]:
        """A node of one CPU; gone after the block.

        Args:
            options: more of `ray start`.
            environment: more of it.
            before: a command that runs the one that follows it.
        """
        name = f"n{free_port()}"
        # Two nodes in one folder unpack a job's files over each other, while it reads them.
        own = {"num-cpus": 1, "num-gpus": 0, "temp-dir": self.place.folder / name}
        process = self._start(
            [f"--address={self.address}"],
            {**own, **(options or {})},
            f"{name}.txt",
            environment,
            before,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)  # which takes leave of the head
            process.wait(30)

    def close(self) -> None:
        self.place.close(keep=False)
        self._head.wait()

    def _wait_for_dashboard(self) -> None:
        """It comes some seconds after the head."""
        deadline = time.monotonic() + 60
        while True:
            try:
                urlopen(f"{self.dashboard}/api/version", timeout=5).close()
                return
            except HTTPError:  # it asks for a token
                return
            except OSError:
                assert time.monotonic() < deadline, "the dashboard does not answer"
                time.sleep(0.2)

    def _start(
        self,
        how: Sequence[str],
        options: Mapping[str, Any],
        log: str,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        ports = {"dashboard-agent-listen-port": free_port(), "object-store-memory": STORE}
        ports |= {"min-worker-port": 0, "max-worker-port": 0}
        named = [f"--{name}={value}" for name, value in {**ports, **options}.items()]
        command = [Path(sys.executable).with_name("ray"), "start", "--block", *how, *named]
        path = self.place.folder / log
        with path.open("wb") as printed:
            process = subprocess.Popen(
                [*before, *map(str, command)],
                env={**self.environment, **(environment or {})},
                cwd=self.place.folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while STARTED not in (said := path.read_text()):
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)
        return process


class Tuner:
    """The command line in one process, which imports its libraries once."""

    def __init__(self, cluster: Cluster) -> None:
        with (cluster.place.folder / "tuner.txt").open("wb") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVED],
                env=cluster.environment | {"RAY_ADDRESS": cluster.address},
                cwd=cluster.place.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )

    def __call__(self, *arguments: str) -> tuple[Any, str]:
        """Its exit code, or what was raised; and what it printed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(arguments), file=self._process.stdin, flush=True)
        code, printed = json.loads(self._process.stdout.readline())
        return code, printed

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
