"""Delivery to MLflow on a thread of its own: a search never waits for it, nor fails with it.

What waits is no queue of messages but the records that MLflow lacks, at most one of each trial and
that of the study. So memory is bounded by the study itself, nothing is dropped, and what changes
several times before it is delivered is delivered once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tuner.errors import UserError
from tuner.invocation import command, program
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase, Progress
from tuner.storage.location import located
from tuner.study.parts import SQLITE
from tuner.tracking.refusals import Unreachable
from tuner.tracking.store import reach
from tuner.tracking.tracker import PARENT, Tracker

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between a failed delivery and the next: doubled each time, up to the longest."""
GIVE_UP = 10.0
"""Seconds for which a store may go on failing once a study is over."""
STALLED = 300.0
"""Seconds without any sign of a store, not even a failure."""


class BackgroundTracker:
    """Keeps MLflow equal to the records that it is told of, on one thread, as soon as it can.

    Args:
        uri: the store. A server is asked at once whether it lets us write; that a sqlite file is
            made or brought up to date, which takes seconds, is waited for on the thread.
        experiment: its name; made where there is none.
        progress: where the user reads.
        later: go on, and say so, where a server does not answer; it is filled in once it does.

    Raises:
        UserError: nothing answers at `uri`, or it does not let us write.
    """

    def __init__(self, uri: str, experiment: str, progress: Progress, later: bool = False) -> None:
        self._uri = uri
        self._experiment = experiment
        self._progress = progress
        self._tracker: Tracker | None = None
        self._study: StudyRecord | None = None
        self._trials: dict[int, TrialRecord] = {}
        self._lacking: dict[int | None, StudyRecord | TrialRecord] = {}
        self._changed = threading.Condition()  # of the three above
        self._closing = threading.Event()
        self._closed = 0.0  # when; of the monotonic clock, as the next
        self._sign = 0.0  # the last of the store
        self._why = ""  # the last delivery failed
        self._counts = (0, 0)  # trials compared and to be compared
        try:
            self._ask()
        except Unreachable as error:
            if not later:
                remedy = "To begin without it and have it filled in later: --tracking-later"
                raise UserError(error.problem, f"{error.remedy}\n{remedy}") from None
            progress.tell(
                f"{error.problem}; it is filled in once it answers, or by `{program()} sync STUDY`"
            )
        self._thread = threading.Thread(target=self._deliver, name="mlflow", daemon=True)
        self._thread.start()

    def study_started(self, study: StudyRecord) -> None:
        self._tell_all(study)

    def trial_started(self, trial: TrialRecord) -> None:
        self._tell(trial)

    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None:
        """Nothing: MLflow shows rungs."""

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        self._tell(trial)

    def trial_ended(self, trial: TrialRecord) -> None:
        self._tell(trial)

    def study_ended(self, study: StudyRecord) -> None:
        self._tell_all(study)

    def close(self, hurried: Callable[[], bool] = lambda: False) -> list[str]:
        """Wait for what is on its way: as long as something arrives.

        Args:
            hurried: asked whether the user would rather not wait.

        Returns:
            What the user must know: why MLflow lacks something and what to do, in lines; empty
            where everything arrived.
        """
        self._closed = self._sign = time.monotonic()
        self._closing.set()
        with self._changed:
            self._changed.notify()
        name = "writing the rest to MLflow (Ctrl-C leaves it for later)"
        with self._progress.task(name, "trials") as advance:
            while self._thread.is_alive() and time.monotonic() - self._sign < STALLED:
                if hurried():
                    self._why = "the rest was not waited for"
                    break
                advance(*self._counts)
                self._thread.join(0.1)
        if not self._lacking:
            return []
        assert self._study is not None
        folder = located(self._study.settings["storage"]) / self._study.name
        return [
            f"MLflow lacks a part of the study {folder.name}; the study itself is whole.",
            self._why or f"it gave no sign for {STALLED:g} s",
            f"When that is put right, MLflow is filled in by: {command('sync', folder)}",
        ]

    def _ask(self) -> None:
        if self._uri.startswith(SQLITE):
            reach(self._uri)
        else:
            with self._progress.task("asking MLflow"):
                self._tracker = Tracker(self._uri, self._experiment)

    def _tell(self, trial: TrialRecord) -> None:
        with self._changed:
            self._trials[trial.number] = self._lacking[trial.number] = trial
            self._changed.notify()

    def _tell_all(self, study: StudyRecord) -> None:
        with self._changed:
            self._study = study
            self._trials = {trial.number: trial for trial in study.trials}
            self._lacking = {PARENT: study}
            self._changed.notify()

    def _deliver(self) -> None:
        failures, since = 0, 0.0
        while self._wait():
            written = self._tracker.written if self._tracker else 0
            try:
                self._deliver_next()
                self._why, failures = "", 0
            except Exception as error:
                self._why = str(error)
                self._sign = now = time.monotonic()
                if failures == 0 or (self._tracker and self._tracker.written > written):
                    failures, since = 0, now
                pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
                failures += 1
                with self._changed:  # what arrived is not known: all is compared
                    assert self._study is not None
                    self._lacking.setdefault(PARENT, self._study)
                if not self._closing.is_set():
                    if self._closing.wait(pause):
                        failures = 0
                elif now + pause > max(since, self._closed) + GIVE_UP:
                    return
                else:
                    time.sleep(pause)

    def _wait(self) -> bool:
        """Wait until something is lacking: whether it is, or else all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._lacking or self._closing.is_set())
            return bool(self._lacking)

    def _deliver_next(self) -> None:
        """The oldest of the records that are lacking, or all where the study itself is."""
        if self._tracker is None:
            self._tracker = Tracker(self._uri, self._experiment)
        with self._changed:
            lacking = dict(self._lacking)
            if PARENT in lacking:
                assert self._study is not None
                study = self._study.model_copy(update={"trials": tuple(self._trials.values())})
        if PARENT in lacking:
            self._tracker.sync(study, self._advance)
        else:
            number, trial = next(iter(lacking.items()))
            assert isinstance(trial, TrialRecord)
            self._tracker.write(trial)
            lacking = {number: trial}
        self._sign = time.monotonic()
        with self._changed:
            for key, record in lacking.items():
                if self._lacking.get(key) is record:  # it may have changed again in the meantime
                    del self._lacking[key]

    def _advance(self, done: int, total: int) -> None:
        self._counts = (done, total)
        self._sign = time.monotonic()
