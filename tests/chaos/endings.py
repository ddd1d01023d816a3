"""Ways to end a whole study at once, from outside: a signal to its process group, and Ray's end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from random import Random

from tests.chaos.checkpoints import newest_sound
from tests.chaos.faults import Fault, Kind
from tests.chaos.study import Driver, Study, end

ENDS = 60.0
"""Seconds in which a driver has to end in order."""


class StopDriver(Kind):
    """SIGINT and SIGTERM in turn: an orderly end, at any moment.

    Only rungs are saved by themselves here: what a trial does not save at the stop is missed.
    """

    name = "driver stopped"
    settings = ("checkpoint.every_seconds=300",)
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)
    whom = "the driver"

    def __init__(self, rng: Random, record: int | None = None) -> None:
        super().__init__(rng, record)
        self._done = 0

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver):
            return None
        number = self.signals[self._done % len(self.signals)]
        self._done += 1
        at, record = time.time(), study.records()
        self.send(driver, number)
        code = driver.wait(ENDS)
        what = f"{number.name} to {self.whom}: exit {code}"
        return Fault(what, at, record, newest_sound(study), orderly=True)

    def send(self, driver: Driver, number: int) -> None:
        driver.signal(number)

    def after_study(self, study: Study, driver: Driver) -> str:
        """A driver that was stopped exits with 130; the system ends one that has not yet begun."""
        wrong = []
        for stopped in study.drivers[:-1]:
            if -stopped.wait() in self.signals and not stopped.said():
                continue
            if stopped.wait() not in (130, 0) or not in_order(stopped):
                wrong.append(f"{stopped.log.name} was stopped and exited with {stopped.wait()}")
        return "; ".join(wrong)


class StopGroup(StopDriver):
    """The same to the driver's process group: `timeout`, batch systems, a terminal that closes."""

    name = "group stopped"
    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    whom = "the process group"

    def send(self, driver: Driver, number: int) -> None:
        os.killpg(driver.number, number)


class KillHead(Kind):
    """SIGKILL to Ray's GCS and to its raylet in turn: the driver ends in order."""

    name = "head killed"

    def __init__(
        self,
        rng: Random,
        record: int | None = None,
        processes: Sequence[str] = ("gcs_server", "raylet"),
    ) -> None:
        super().__init__(rng, record)
        self._processes = processes
        self._done = 0

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver):
            return None
        process = self._processes[self._done % len(self._processes)]
        self._done += 1
        while driver.running:  # Ray may not have started yet
            for number, title in study.place.processes("driver").items():
                if f"/{process} " in title:
                    at, record = time.time(), study.records()
                    end(number, signal.SIGKILL)
                    code = driver.wait(ENDS)
                    what = f"SIGKILL to the {process}: exit {code}"
                    return Fault(what, at, record, newest_sound(study))
            time.sleep(0.05)
        return None

    def after_study(self, study: Study, driver: Driver) -> str:
        """Its driver exits with 130, or says that Ray has not started; no trial has failed."""
        wrong = []
        for left in study.drivers[:-1]:
            started = left.wait() == 130 or (left.wait() == 2 and "error: Ray" in left.said())
            if not started or not in_order(left):
                wrong.append(f"{left.log.name} lost Ray and exited with {left.wait()}")
        failed = [event for event in study.events() if event["event"] == "attempt_failed"]
        return "; ".join([*wrong, *(f"counted as a failure: {event}" for event in failed)])


def in_order(driver: Driver) -> bool:
    """Return whether an ended driver said what follows, and nothing that is not for users."""
    said = driver.said()
    follows = "tuner resume" in said or "nothing was started" in said or "error: Ray" in said
    return "Traceback" not in said and (follows or driver.wait() == 0)
