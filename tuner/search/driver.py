"""The driver: one study in progress. It asks the sampler, journals, and decides who goes on.

Pure Python: the Ray engine feeds it, observers (MLflow, the terminal) watch it. Every fact is
journalled before anyone hears of it, and a driver made from a journal is in the same state as
the one that wrote it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Literal, Protocol

from tuner.config import TrialConfig
from tuner.progress import Phase
from tuner.records import ENDED, Evaluation, StudyRecord, StudyState, TrialRecord, TrialState
from tuner.search.asha import Asha
from tuner.search.events import (
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    TrialCreated,
    TrialEnded,
    TrialStarted,
)
from tuner.search.journal import Journal
from tuner.search.sampler import Sampler
from tuner.space.distributions import Scalar
from tuner.study import StudyConfig

BASELINE = 0
"""Number of the baseline trial, where a study has one."""


class Observer(Protocol):
    """Who watches a study: told of facts after they are journalled; must not block.

    How far a trial is between two rungs (`progressed`) is told on the way, and not journalled.
    """

    def study_started(self, study: StudyRecord) -> None: ...
    def trial_started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None: ...
    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None: ...
    def trial_ended(self, trial: TrialRecord) -> None: ...
    def study_ended(self, study: StudyRecord) -> None: ...


class Driver:
    """One study in progress.

    Args:
        study: its settings.
        journal: open for writing; what it holds already is replayed.
        observers: told of every fact from now on.
    """

    def __init__(
        self, study: StudyConfig, journal: Journal, observers: Sequence[Observer] = ()
    ) -> None:
        self._study = study
        self._journal = journal
        self._observers = observers
        self._full = study.rungs[-1]
        self._budget = study.trials
        self._sampler = Sampler(study.feasible, study.sampler)
        protected = frozenset({BASELINE} if study.baseline is not None else ())
        self._asha = (
            Asha(study.rungs, study.scheduler.reduction_factor, protected)
            if study.scheduler.kind == "asha"
            else None
        )
        self._waiting: deque[int] = deque()
        self._replay()

    def start(self) -> None:
        """Begin to work; trials that a killed driver left are taken up again."""
        self._write(DriverStarted(time=time.time()))
        self._tell_study("study_started")
        for number in list(self._waiting):  # decided, but not written down, when a driver died
            if self._trial(number).evaluations and not self._goes_on(number):
                self._waiting.remove(number)
                self._conclude(number)

    def next_trial(self) -> TrialRecord | None:
        """The next trial to run: an unfinished one, the baseline, or a new proposal.

        None where the budget of trials is spent, or the grid exhausted.
        """
        if self._waiting:
            return self._trial(self._waiting.popleft())
        number = len(self._journal.history.trials)
        if number >= self._budget:
            return None
        if number == BASELINE and self._study.baseline is not None:
            return self._create("baseline", self._study.baseline, self._study.baseline_config())
        params = self._sampler.propose(number)
        if params is None:
            return None
        config = self._study.space.trial_config(self._study.trial, params)
        return self._create("sampler", params, config)

    def trial_started(self, number: int) -> None:
        """A worker begins to train the trial, for the first time or again.

        A trial that has ended stays ended, also where its worker is lost in the moment after.
        """
        if self._trial(number).state in ENDED:
            return
        self._write(TrialStarted(time=time.time(), number=number))
        for observer in self._observers:
            observer.trial_started(self._trial(number))

    def progressed(self, number: int, pairs_seen: int, phase: Phase) -> None:
        """A running trial says how far it is, between two rungs."""
        for observer in self._observers:
            observer.progressed(self._trial(number), pairs_seen, phase)

    def evaluated(self, number: int, evaluation: Evaluation) -> bool:
        """Take in an evaluation and decide: True where the trial goes on.

        An evaluation that is known already (a trial that was restarted from a checkpoint tells
        what it carries) changes nothing.
        """
        trial = self._trial(number)
        if all(evaluation.rung != known.rung for known in trial.evaluations):
            self._write(Evaluated(time=time.time(), number=number, evaluation=evaluation))
            self._sampler.evaluated(number, evaluation.rung, evaluation.objective)
            for observer in self._observers:
                observer.evaluated(self._trial(number), evaluation)
        if trial.state == "running" and not self._goes_on(number):
            self._conclude(number)
        return self._trial(number).state == "running"

    def trial_failed(self, number: int, reason: str) -> None:
        """The trial ended without a score."""
        if self._trial(number).state not in ENDED:
            self._end(number, "failed", reason)

    def finish(self, interrupted: bool = False) -> StudyRecord:
        """End this driver's work, orderly; what still ran is marked interrupted."""
        for number, trial in list(self._journal.history.trials.items()):
            if trial.state == "running":
                self._end(number, "interrupted", "the study was interrupted")
        record = self._journal.history.record()
        state: StudyState = "completed"
        reason = f"{len(record.trials)} trials"
        if interrupted:
            state, reason = "interrupted", "resume goes on with it"
        elif record.best is None:
            state, reason = "failed", "no trial reached the full budget"
        self._write(DriverEnded(time=time.time(), state=state, reason=reason))
        self._tell_study("study_ended")
        return self._journal.history.record()

    def _replay(self) -> None:
        """Rebuild rungs, sampler and the queue of unfinished trials from the journal."""
        for number, trial in self._journal.history.trials.items():
            if trial.origin == "sampler":
                self._sampler.replay(trial)
            if trial.state not in ENDED:
                self._waiting.append(number)
        for number, evaluation in self._journal.history.arrivals:
            if self._asha is not None:
                self._asha.goes_on(number, evaluation.rung, evaluation.objective)

    def _goes_on(self, number: int) -> bool:
        """Whether the trial's latest evaluation lets it go on to another rung."""
        last = self._trial(number).last
        assert last is not None
        if last.rung == self._full:
            return False
        return self._asha is None or self._asha.goes_on(number, last.rung, last.objective)

    def _conclude(self, number: int) -> None:
        last = self._trial(number).last
        assert last is not None
        if last.rung == self._full:
            self._end(number, "completed", f"full budget of {self._full:,} pairs")
        else:
            self._end(number, "pruned", f"stopped by ASHA at {last.rung:,} pairs")

    def _create(
        self, origin: Literal["baseline", "sampler"], params: dict[str, Scalar], config: TrialConfig
    ) -> TrialRecord:
        number = len(self._journal.history.trials)
        self._write(
            TrialCreated(
                time=time.time(), number=number, origin=origin, params=params, config=config
            )
        )
        return self._trial(number)

    def _end(self, number: int, state: TrialState, reason: str) -> None:
        self._write(TrialEnded(time=time.time(), number=number, state=state, reason=reason))
        trial = self._trial(number)
        self._sampler.ended(number, state, trial.last.objective if trial.last else None)
        for observer in self._observers:
            observer.trial_ended(trial)

    def _tell_study(self, what: str) -> None:
        record = self._journal.history.record()
        for observer in self._observers:
            getattr(observer, what)(record)

    def _write(self, event: Event) -> None:
        self._journal.append(event)

    def _trial(self, number: int) -> TrialRecord:
        return self._journal.history.trials[number]
