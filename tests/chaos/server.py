"""A real MLflow server over HTTP, and the fault that befalls it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from random import Random

from tests.chaos.checkpoints import newest_sound
from tests.chaos.faults import Fault, Kind
from tests.chaos.study import Driver, Place, Study

STARTS = 300.0
"""Seconds that a server may take to start; about 18 are usual."""


class Server:
    """`mlflow server` on a database of its own, in the same place at the same port every time."""

    def __init__(self, place: Place) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.database = f"sqlite:///{place.folder / 'server' / 'mlflow.db'}"
        self.uri = f"http://127.0.0.1:{self.port}"
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self._place.folder / "server"
        options = {
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
            "--backend-store-uri": self.database,
            "--artifacts-destination": str(folder / "artifacts"),
        }
        words = [word for option in options.items() for word in option]
        environment = self._place.environment("server")
        environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def wait(self) -> None:
        """Until it answers; started where it is down."""
        if self._process is None:
            self.start()
        deadline = time.monotonic() + STARTS
        while not self.answers():
            assert time.monotonic() < deadline, "MLflow's server does not start"
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class KillServer(Kind):
    """SIGKILL to the tracking server while a study runs; it comes back after a while, or never.

    Each second study sees it go for good: then `tuner sync` has to fill in.
    """

    name = "server killed"

    def __init__(self, rng: Random, place: Place, record: int | None = None) -> None:
        super().__init__(rng, record)
        self.server = Server(place)
        self.settings = (f"tracking.uri={self.server.uri}",)
        self._for_good = False
        self._lacks = False  # a driver said that MLflow lacks a part of the study

    def before_driver(self) -> None:
        self.server.wait()

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver):
            return None
        while not self.server.answers():  # it has just been started again
            if not driver.running:
                return None
            time.sleep(0.1)
        at, record = time.time(), study.records()
        self.server.kill()
        if self._for_good and record:
            driver.wait()
            self._lacks = "tuner sync" in driver.said()
            return Fault("SIGKILL to the server, away to the end", at, record, newest_sound(study))
        away = self.rng.uniform(0.0, 5.0)
        time.sleep(away)
        self.server.start()
        what = f"SIGKILL to the server, started {away:.1f} s later"
        return Fault(what, at, record, newest_sound(study))

    def store(self, study: Study) -> str:
        return self.server.database

    def excuses(self, driver: Driver) -> bool:
        """A study does not begin without its tracking server."""
        return driver.wait() == 2 and "cannot be reached" in driver.said()

    def after_study(self, study: Study, driver: Driver) -> str:
        """Sync where MLflow lacks something and the user is told to."""
        lacks, self._lacks = self._lacks or "tuner sync" in driver.said(), False
        self._for_good = not self._for_good
        self.server.wait()
        if not lacks:
            return ""
        code, said = study.ask("sync", study.name, "--storage", str(study.storage))
        return f"sync exited with {code}: {said[-500:]}" if code else ""
