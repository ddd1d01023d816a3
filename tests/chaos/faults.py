"""Faults of a study: its driver, its workers or its machine die, its newest file is torn.

A kind of fault is a class whose `strike` waits for a random moment and does it.
"""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.checkpoints import Saved, folders, newest_sound
from tests.chaos.study import LIFE, Driver, Study, end


@dataclass(frozen=True)
class Fault:
    """A fault: its kind, its Unix time in seconds, and the checkpoints that were sound right after.

    Attributes:
        record: how many records the journal had.
        torn: the trial whose newest checkpoint was torn.
        orderly: the driver could end in order: nothing that was trained may be trained again.
    """

    what: str
    time: float
    record: int
    saved: dict[int, Saved]
    torn: int | None = None
    orderly: bool = False


class Kind(ABC):
    """One kind of fault.

    Attributes:
        name: of the row in the table.
        settings: of studies that it is done to.
        record: of the journal, at which it strikes; None: at a random moment, maybe too late.
    """

    name = ""
    settings: tuple[str, ...] = ()

    def __init__(self, rng: Random, record: int | None = None) -> None:
        self.rng = rng
        self.record = record

    @abstractmethod
    def strike(self, study: Study, driver: Driver) -> Fault | None:
        """Wait for the moment and do it; None where the driver ended before."""

    def moment(self, study: Study, driver: Driver, first: int = 0) -> bool:
        """Wait: half the time for a while, half for a record of the journal, from the `first` on.

        Moments drawn by time alone would mostly hit the start, which takes longer than the
        training. False where the driver ended before.
        """
        record, at = self.record, time.monotonic()
        if record is None:
            by_record = self.rng.random() < 0.5
            record = max(first, study.records() + self.rng.randrange(1, 12)) if by_record else first
            at += 0.0 if by_record else self.rng.uniform(0.0, LIFE)
        while driver.running:
            if study.records() >= record and time.monotonic() >= at:
                time.sleep(self.rng.uniform(0.0, 0.02))
                return True
            time.sleep(0.005)
        return False

    def before_driver(self) -> None:  # noqa: B027 - most need nothing
        """Make ready what a driver needs."""

    def excuses(self, driver: Driver) -> bool:
        """Return whether a driver was right to give up, as it says."""
        return False

    def store(self, study: Study) -> str:
        """The database behind MLflow."""
        return f"sqlite:///{study.storage / 'mlflow.db'}"

    def after_study(self, study: Study, driver: Driver) -> str:
        """Do what is left to do after a study; return what went wrong."""
        return ""


class KillDriver(Kind):
    """SIGKILL to the driver, to the one that looks after it, or to all as when a machine dies."""

    name = "driver killed"

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver):
            return None
        if self.rng.random() < 0.5:
            return strike_machine(study, driver)
        at, record = time.time(), study.records()
        end(self.rng.choice([driver.number, driver.at_work]), signal.SIGKILL)
        code = driver.wait()
        time.sleep(0.2)  # Ray follows: see how far a worker got that outlived its driver
        return Fault(f"SIGKILL to the driver: exit {code}", at, record, newest_sound(study))


class KillWorker(Kind):
    """SIGKILL to a process that trains; the study goes on by itself."""

    name = "worker killed"

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        earliest = time.monotonic() + self.rng.uniform(0.0, 5.0)
        while driver.running:
            workers = study.place.workers()
            if workers and time.monotonic() > earliest:
                at, record = time.time(), study.records()
                end(self.rng.choice(workers), signal.SIGKILL)
                return Fault("SIGKILL to a worker", at, record, newest_sound(study))
            time.sleep(0.05)
        return None


class TearNewest(Kind):
    """The machine dies, and the newest file is torn: the journal, or one of a checkpoint."""

    name = "newest file torn"

    def __init__(self, rng: Random, record: int | None = None) -> None:
        super().__init__(rng, record)
        self._journal = False

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver, first=3):
            return None
        fault = strike_machine(study, driver)
        self._journal = not self._journal
        checkpoints = [folder for saved in folders(study).values() for folder in saved]
        if self._journal or not checkpoints:
            what = tear(study.journal, last_record(study.journal), self.rng)
            return Fault(what, fault.time, study.records(), fault.saved)
        folder = max(checkpoints, key=lambda folder: folder.stat().st_ctime)
        file = self.rng.choice(sorted(folder.iterdir()))
        what = f"{folder.parent.name}/{folder.name}/{tear(file, 0, self.rng)}"
        torn = int(folder.parent.name)
        return Fault(what, fault.time, fault.record, newest_sound(study), torn)


def strike_machine(study: Study, driver: Driver) -> Fault:
    """All processes of the study die at once."""
    at, record = time.time(), study.records()
    driver.signal(signal.SIGKILL)
    study.place.kill("driver")
    driver.wait()
    return Fault("SIGKILL to all processes", at, record, newest_sound(study))


def last_record(journal: Path) -> int:
    """Return where the last record begins, in bytes."""
    return journal.read_bytes()[:-1].rfind(b"\n") + 1


def tear(file: Path, since: int, rng: Random) -> str:
    """Leave a file as a write that was not finished does, from the byte `since` on; says how.

    It is cut off, or its end is zeros, as some file systems leave it, or anything.
    """
    content = file.read_bytes()
    at = rng.randrange(since, len(content))
    how = rng.choice(("cut", "zeros", "noise"))
    rest = {
        "cut": b"",
        "zeros": bytes(len(content) - at),
        "noise": rng.randbytes(len(content) - at),
    }[how]
    file.write_bytes(content[:at] + rest)
    return f"{file.name}: {how} from byte {at:,} of {len(content):,}"
