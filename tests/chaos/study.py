"""A study seen from outside: started, resumed, and read by its files, as a user would.

Nothing of the tool is imported here: what it wrote is read with other eyes than its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"
TRIALS = 6
PAIRS_A_STEP = 32
EVERY_SECONDS = 0.5
LIFE = 28.0
"""Seconds that a driver of such a study takes on two idle cores, 17 of them before any training."""
HUNG = 240.0
"""Seconds after which a driver that does not end by itself counts as hanging."""
SETTINGS = (
    f"budget.trials={TRIALS}",
    "budget.pairs_per_trial=6400",
    "scheduler.min_pairs=1600",
    f"checkpoint.every_seconds={EVERY_SECONDS}",
    f"trial.batch.effective_size={PAIRS_A_STEP}",
    "resources.max_concurrent_trials=2",
)


class Place:
    """A folder with a short name (Ray's sockets live in it) that holds all that a run writes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="c-"))
        for name in ("driver", "server", "ray", "tmp"):
            (self.folder / name).mkdir()
        self.variables: dict[str, str] = {}  # more of them, of what is started from now on

    def environment(self, who: str) -> dict[str, str]:
        """Return the environment of processes; HOME is `driver`'s (Ray's too) or `server`'s."""
        joined = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME")
        return {
            **{name: value for name, value in os.environ.items() if name not in joined},
            "HOME": str(self.folder / who),
            "TMPDIR": str(self.folder / "tmp"),
            "RAY_TMPDIR": str(self.folder / "ray"),
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    def processes(self, who: str) -> dict[int, str]:
        """All that are alive, Ray's included: id and title."""
        home = os.fsencode(f"HOME={self.folder / who}")
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if home in (process / "environ").read_bytes().split(b"\0"):
                    title = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(process.name)] = title.decode(errors="replace").strip()
            except OSError:  # it has gone
                continue
        return found

    def workers(self) -> list[int]:
        """Processes that train."""
        running = self.processes("driver").items()
        return [number for number, title in running if re.match(r"ray::\w*Trainable", title)]

    def kill(self, who: str) -> None:
        """SIGKILL to each process, until none is left."""
        while found := self.processes(who):
            for number in found:
                end(number, signal.SIGKILL)
            time.sleep(0.02)

    def close(self, keep: bool) -> None:
        """End what still runs; remove all that was written, unless it is evidence."""
        self.kill("driver")
        self.kill("server")
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


class Driver:
    """One process `tuner search` or `tuner resume`, with all that it prints in a file."""

    def __init__(self, place: Place, log: Path, *arguments: str) -> None:
        self.log = log
        self.started = time.time()
        with log.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuner", *arguments],
                cwd=place.folder,
                env=place.environment("driver"),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def number(self) -> int:
        """Its id, and that of its process group."""
        return self._process.pid

    @property
    def at_work(self) -> int:
        """The process that drives the study; the one that was started looks after it."""
        started = self.number
        try:
            below = Path(f"/proc/{started}/task/{started}/children").read_text().split()
        except FileNotFoundError:  # it has ended
            below = []
        return int(below[0]) if below else started

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = HUNG) -> int:
        """Its exit code; a driver that hangs is ended by SIGABRT, so that its code is -6."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            return self._process.wait()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Study:
    """One study, over all drivers that work on it."""

    def __init__(self, place: Place, name: str, *settings: str) -> None:
        self.place = place
        self.name = name
        self.storage = place.folder / "studies" / name  # a tracking store of its own, too
        self.folder = self.storage / name
        self.drivers: list[Driver] = []
        self._settings = (*SETTINGS, *settings, f"name={name}", f"storage={self.storage}")

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def go_on(self) -> Driver:
        """`tuner search` where there is no study yet, else `tuner resume`."""
        (self.place.folder / "logs").mkdir(exist_ok=True)
        log = self.place.folder / "logs" / f"{self.name}-{len(self.drivers)}.txt"
        self.drivers.append(Driver(self.place, log, *self._resume_or_search()))
        return self.drivers[-1]

    def ask(self, *arguments: str) -> tuple[int, str]:
        """Another command on this study: exit code and all that it printed."""
        driver = Driver(self.place, self.place.folder / "tmp" / "said.txt", *arguments)
        return driver.wait(), driver.said()

    def resume(self) -> list[str]:
        return ["resume", self.name, "--storage", str(self.storage)]

    def search(self) -> list[str]:
        sets = [word for setting in self._settings for word in ("--set", setting)]
        return ["search", str(SMOKE), *sets]

    def _resume_or_search(self) -> list[str]:
        return self.resume() if self.journal.exists() else self.search()

    def records(self) -> int:
        """Return how many whole records the journal has."""
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def events(self) -> list[dict[str, Any]]:
        """The journal's records; a last one that is torn is left out."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_bytes().splitlines()
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(json.loads(line))
            except ValueError:
                assert number == len(lines), f"{self.journal}: record {number} is damaged"
        return found


def end(number: int, how: int) -> None:
    """Send a signal to a process, which may have ended just now."""
    try:
        os.kill(number, how)
    except ProcessLookupError:
        return
