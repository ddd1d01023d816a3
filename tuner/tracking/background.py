"""Delivery to MLflow on a thread of its own: a search never waits for it, nor fails with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tuner.invocation import command
from tuner.progress import Phase
from tuner.records import Evaluation, StudyRecord, TrialRecord
from tuner.tracking.store import reach
from tuner.tracking.tracker import Tracker

CAPACITY = 10_000
"""Deliveries that may wait; more are dropped, and made good at the end."""
PAUSE = 5.0
"""Seconds after a failed delivery before the next is tried."""


class BackgroundTracker:
    """Delivers records in order on one thread. What fails is made good at the end, by a `sync`.

    Args:
        uri: the store, which must answer; that its database is made or brought up to date, which
            takes seconds, is waited for on the thread.
        experiment: its name; made where there is none.

    Raises:
        UserError: nothing answers at `uri`.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        reach(uri)
        self._connect = partial(Tracker, uri, experiment)
        self._tracker: Tracker | None = None
        self._folder = Path()
        self._final: StudyRecord | None = None
        self._lost = ""  # why something did not arrive
        self._queue: SimpleQueue[Callable[[Tracker], None] | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="mlflow", daemon=True)
        self._thread.start()

    def study_started(self, study: StudyRecord) -> None:
        self._folder = Path(study.settings["storage"]) / study.name
        self._put(lambda tracker: tracker.study_started(study))

    def trial_started(self, trial: TrialRecord) -> None:
        self._put(lambda tracker: tracker.trial_started(trial))

    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None:
        """Nothing: MLflow shows rungs."""

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        self._put(lambda tracker: tracker.evaluated(trial, evaluation))

    def trial_ended(self, trial: TrialRecord) -> None:
        self._put(lambda tracker: tracker.trial_ended(trial))

    def study_ended(self, study: StudyRecord) -> None:
        self._final = study
        self._put(lambda tracker: tracker.study_ended(study))

    def close(self, timeout: float = 60.0) -> list[str]:
        """Wait for what is on its way.

        Args:
            timeout: seconds to wait at most.

        Returns:
            What the user must know: why MLflow lacks something and what to do, in lines; empty
            where everything arrived.
        """
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout)
        lost = f"it did not keep up within {timeout:g} s" if self._thread.is_alive() else self._lost
        if not lost:
            return []
        return [
            f"MLflow lacks a part of the study {self._folder.name}; the study itself is whole.",
            lost,
            f"When that is put right, MLflow is filled in by: {command('sync', self._folder)}",
        ]

    def _put(self, delivery: Callable[[Tracker], None]) -> None:
        if self._queue.qsize() < CAPACITY:
            self._queue.put(delivery)
        else:
            self._lost = f"more than {CAPACITY} messages were waiting"

    def _deliver(self) -> None:
        while (delivery := self._queue.get()) is not None:
            if self._lost and self._closing.is_set():
                continue  # the sync below brings it
            try:
                delivery(self._connected())
            except Exception as error:
                self._lost = str(error)
                self._closing.wait(PAUSE)
        if self._lost and self._final is not None:
            try:
                self._connected().sync(self._final)
                self._lost = ""
            except Exception as error:
                self._lost = str(error)

    def _connected(self) -> Tracker:
        if self._tracker is None:
            self._tracker = self._connect()
        return self._tracker
