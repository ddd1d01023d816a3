"""A real Ray head with its dashboard on this machine: its own HOME, temporary folder and ports."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.ports import free_port

BIN = Path(sys.executable).parent
STARTUP = 300.0  # seconds; about 12 are usual


class RayHead:
    """`ray start --head`, with a token or without; its processes are ended one by one."""

    def __init__(self, home: Path, with_token: bool = True) -> None:
        self.home = home
        self.token = secrets.token_hex(32) if with_token else None
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = home / "head.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not _is_foreign(name)},
            "HOME": str(home),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token" if with_token else "disabled",
            "RAY_TMPDIR": str(home / "ray"),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        (home / "ray").mkdir(parents=True)
        if self.token:
            file = home / ".ray" / "auth_token"
            file.parent.mkdir()
            file.touch(0o600)
            file.write_text(self.token)

    def start(self) -> None:
        options = {
            "port": free_port(),
            "dashboard-host": "127.0.0.1",
            "dashboard-port": self.port,
            "dashboard-agent-listen-port": free_port(),
            "dashboard-agent-grpc-port": free_port(),
            "ray-client-server-port": free_port(),
            "metrics-export-port": free_port(),
            "node-ip-address": "127.0.0.1",
            "temp-dir": self.home / "ray",
            "num-cpus": 2,
            "num-gpus": 0,
            "object-store-memory": 150_000_000,
        }
        command = [str(BIN / "ray"), "start", "--head", "--block", "--include-dashboard=true"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + STARTUP
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Its own processes alone: those with its HOME."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError):
                environment = (process / "environ").read_bytes().split(b"\0")
                if f"HOME={self.home}".encode() in environment:
                    os.kill(int(process.name), signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        """Return whether the job API answers and its agent is there."""
        try:
            urlopen(f"{self.address}/api/jobs/none", timeout=5).close()
        except HTTPError as error:
            return error.code in (401, 404)
        except (URLError, OSError):
            return False
        return True


def _is_foreign(name: str) -> bool:
    return name.startswith(("RAY_", "MLFLOW_", "AWS_", "HF_", "TUNER_"))
