"""Delivery to MLflow on a background thread, so that a search never waits for it or fails with it.

The thread keeps no queue of messages, only the records that MLflow lacks: at most one for each
trial, and that of the study. So the study's size bounds the memory, nothing is dropped, and a
record that changes several times before its delivery is delivered once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tuner.errors import UserError
from tuner.invocation import command, program
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase, Progress
from tuner.study.parts import SQLITE
from tuner.tracking.refusals import Unreachable
from tuner.tracking.store import reach
from tuner.tracking.tracker import PARENT, Tracker

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between a failed delivery and the next one, doubled each time up to the longest."""
HOLD = 20.0
"""Longest time in seconds that the start of a local store waits for the first trial: it takes the
driver some seconds of computing, in which the trials could begin."""
GIVE_UP = 10.0
"""Seconds during which a store may keep failing once a study has ended."""
STALLED = 300.0
"""Seconds without any sign from a store, not even a failure, after which waiting ends."""


class BackgroundTracker:
    """Brings MLflow up to date with the records that it receives, on one thread.

    Args:
        uri: the address of the store. The constructor checks at once that a server permits
            writing; the thread creates a sqlite file or brings it up to date, which takes seconds.
        experiment: the experiment's name; created if missing.
        progress: the progress display for the user.
        later: if a server does not answer, show a message and continue; it is filled in once it
            answers.

    Raises:
        UserError: nothing answers at `uri`, or the store does not permit writing.
    """

    def __init__(self, uri: str, experiment: str, progress: Progress, later: bool = False) -> None:
        self._uri = uri
        self._experiment = experiment
        self._progress = progress
        self._tracker: Tracker | None = None
        self._study: StudyRecord | None = None
        self._trials: dict[int, TrialRecord] = {}
        self._lacking: dict[int | None, StudyRecord | TrialRecord] = {}
        self._changed = threading.Condition()  # guards the three above
        self._closing = threading.Event()
        self._under_way = threading.Event()  # trials train, or nothing will
        self._closed = 0.0  # when `close` was called, by the monotonic clock
        self._sign = 0.0  # when the store last gave a sign, by the same clock
        self._why = ""  # why the last delivery failed, or ""
        self._counts = (0, 0)  # trials compared so far, and in all
        try:
            self._ask()
        except Unreachable as error:
            if not later:
                remedy = "To begin without it and fill it in later: --tracking-later"
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
        """Note that a trial trains; MLflow shows rungs only."""
        self._under_way.set()

    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None:
        self._under_way.set()
        self._tell(trial)

    def trial_ended(self, trial: TrialRecord) -> None:
        self._under_way.set()
        self._tell(trial)

    def recommended(self, study: StudyRecord) -> None:
        self._tell_all(study)

    def study_ended(self, study: StudyRecord) -> None:
        self._under_way.set()
        self._tell_all(study)

    def close(self, hurried: Callable[[], bool] = lambda: False) -> list[str]:
        """Wait for pending deliveries as long as some arrive.

        Args:
            hurried: called to ask whether the user wants to stop waiting.

        Returns:
            Lines for the user on what MLflow lacks, why, and what to do; empty if everything
            arrived.
        """
        self._closed = self._sign = time.monotonic()
        self._closing.set()
        self._under_way.set()
        with self._changed:
            self._changed.notify()
        name = "writing the rest to MLflow (Ctrl-C leaves it for later)"
        with self._progress.task(name, "trials") as advance:
            while self._thread.is_alive() and time.monotonic() - self._sign < STALLED:
                if hurried():
                    self._why = "you stopped waiting for the rest"
                    break
                advance(*self._counts)
                self._thread.join(0.1)
        if not self._lacking:
            return []
        assert self._study is not None
        folder = self._study.settings.storage / self._study.name
        return [
            f"MLflow lacks part of the study {folder.name}; the study itself is complete.",
            self._why or f"it did not answer for {STALLED:g} s",
            f"After fixing this, fill in MLflow: {command('sync', folder)}",
        ]

    def _ask(self) -> None:
        if self._uri.startswith(SQLITE):
            reach(self._uri)
        else:
            with self._progress.task("connecting to MLflow"):
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
        if self._tracker is None:
            self._under_way.wait(HOLD)
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
                with self._changed:  # what arrived is unknown, so compare everything
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
        """Wait until a record is missing or `close` is called; return whether one is missing."""
        with self._changed:
            self._changed.wait_for(lambda: self._lacking or self._closing.is_set())
            return bool(self._lacking)

    def _deliver_next(self) -> None:
        """Deliver the oldest missing record, or all records if the study's own is missing."""
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
                if self._lacking.get(key) is record:  # else it changed meanwhile
                    del self._lacking[key]

    def _advance(self, done: int, total: int) -> None:
        self._counts = (done, total)
        self._sign = time.monotonic()
