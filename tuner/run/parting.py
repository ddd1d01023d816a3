"""The end of a run: each trial that trains saves what it has done, so that none of it is repeated.

A trial is asked when its next result comes, a heartbeat later at most; from then on it rests.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from ray.tune.experiment import Trial

from tuner.interrupts import OrderlyStop
from tuner.run.trainable import PAIRS_SEEN, REASON
from tuner.run.worker import NUMBER
from tuner.search.driver import Driver

PARTING_SECONDS = 20.0
"""How long the last checkpoints are waited for; a trial without one goes on from that before."""
STOPPING = (
    "stopping: each trial that runs saves what it has done, and goes on from there "
    f"({PARTING_SECONDS:g} s at most); Ctrl-C again stops at once"
)
"""What the user is told at the first signal."""


class Parting:
    """Which trials have to save something before the run can end.

    Args:
        driver: is told how far they are.
        stop: what a user asked for.

    Attributes:
        complaints: which trials could not save, and why, in words.
    """

    def __init__(self, driver: Driver, stop: OrderlyStop) -> None:
        self.complaints: list[str] = []
        self._driver = driver
        self._stop = stop
        self._training: set[int] = set()
        self._deadline: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the run is about to end."""
        return self._deadline is not None

    def trains(self, number: int) -> None:
        """A trial has begun, or gone on."""
        self._training.add(number)

    def rests(self, number: int) -> None:
        """A trial has ended, or its worker has gone: nothing is left to save."""
        self._training.discard(number)

    def ask(self, controller: Any, trial: Trial) -> None:
        """Have a trial that has just told a result save all it has done; it goes on no more."""
        if trial.config[NUMBER] in self._training:
            kept = partial(self._kept, trial.config[NUMBER])
            controller._schedule_trial_task(trial, "keep", on_result=kept, on_error=kept)

    def over(self) -> bool:
        """Whether the run may end now: it should, and all have saved, or were waited for."""
        if self._deadline is None:
            if not (self._stop.received or self._driver.should_stop()):
                return False
            self._deadline = time.monotonic() + PARTING_SECONDS
        if not self._training:
            return True
        if time.monotonic() < self._deadline:
            return False
        for number in sorted(self._training):
            self._complain(number, f"it was not heard of for {PARTING_SECONDS:g} s")
        self._training.clear()
        return True

    def _kept(self, number: int, trial: Trial, said: dict[str, Any] | Exception) -> None:
        self.rests(number)
        if isinstance(said, Exception):
            lines = str(said).strip().splitlines() or [type(said).__name__]
            self._complain(number, lines[-1].strip())
            return
        self._driver.progressed(number, said[PAIRS_SEEN], "training")
        if said[REASON]:
            self._complain(number, said[REASON])

    def _complain(self, number: int, why: str) -> None:
        self.complaints.append(
            f"trial {number:03d} will go on from its checkpoint before: it could not save, {why}"
        )
