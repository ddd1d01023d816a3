"""The end of a run: each training trial saves its progress, so that none of it is repeated.

A trial is asked to save when its next result comes, a heartbeat later at most. It trains no further
after that.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ray.tune.experiment import Trial

from tuner.cluster.private import call
from tuner.interrupts import OrderlyStop
from tuner.run.messages import Kept, start_in
from tuner.search.driver import Driver

PARTING_SECONDS = 20.0
"""Longest wait for the last checkpoints; a trial that writes none resumes from the one before."""
STOPPING = (
    "stopping: each running trial saves its progress, from which a resume goes on "
    f"({PARTING_SECONDS:g} s at most); press Ctrl-C again to stop at once"
)
"""The message that the user sees at the first signal."""


class Parting:
    """The trials that have to save something before the run can end.

    Args:
        driver: receives the progress of each trial.
        stop: says whether a user has asked the study to stop.

    Attributes:
        complaints: a sentence for each trial that could not save, with the reason.
    """

    def __init__(self, driver: Driver, stop: OrderlyStop) -> None:
        self.complaints: list[str] = []
        self._driver = driver
        self._stop = stop
        self._training: set[int] = set()
        self._deadline: float | None = None

    @property
    def begun(self) -> bool:
        """True once the run is about to end."""
        return self._deadline is not None

    def trains(self, number: int) -> None:
        """Record that a trial has begun or resumed training."""
        self._training.add(number)

    def rests(self, number: int) -> None:
        """Record that a trial has nothing left to save: it ended, or its worker is gone."""
        self._training.discard(number)

    def ask(self, controller: Any, trial: Trial) -> None:
        """Have a trial that has just reported save its progress; it trains no further."""
        number = start_in(trial.config).number
        if number in self._training:
            kept = partial(self._kept, number)
            call(controller, trial, "keep", kept)

    def over(self) -> bool:
        """Return whether the run may end now.

        It may once a user or the driver wants it to stop and every trial has saved its progress or
        `PARTING_SECONDS` have passed.
        """
        if self._deadline is None:
            if not (self._stop.received or self._driver.should_stop()):
                return False
            self._deadline = time.monotonic() + PARTING_SECONDS
        if not self._training:
            return True
        if time.monotonic() < self._deadline:
            return False
        for number in sorted(self._training):
            self._complain(number, f"it did not answer within {PARTING_SECONDS:g} s")
        self._training.clear()
        return True

    def _kept(self, number: int, trial: Trial, answer: Kept | Exception) -> None:
        self.rests(number)
        if isinstance(answer, Exception):
            lines = str(answer).strip().splitlines() or [type(answer).__name__]
            self._complain(number, lines[-1].strip())
            return
        self._driver.progressed(number, answer.pairs_seen, "training")
        if answer.complaint:
            self._complain(number, answer.complaint)

    def _complain(self, number: int, why: str) -> None:
        self.complaints.append(
            f"trial {number:03d} could not save its progress and will continue from its previous "
            f"checkpoint: {why}"
        )
