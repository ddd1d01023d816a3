"""The driver: it asks for trials, journals every fact, and decides which trials continue.

The driver is pure Python: the Ray engine feeds it, and observers (MLflow, the terminal) watch it.
It journals every fact before it tells anyone. A driver rebuilt from a journal has the same state as
the driver that wrote it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence

from tuner import __version__
from tuner.errors import UserError
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    Progressed,
    TrialCreated,
    TrialEnded,
    TrialRestored,
    TrialStarted,
)
from tuner.journal.journal import Journal
from tuner.journal.ledger import Limits
from tuner.journal.records import (
    END_STATES,
    Evaluation,
    Failure,
    FailureKind,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from tuner.journal.writer import Writer
from tuner.progress import Phase
from tuner.search import failures
from tuner.search.asha import Asha
from tuner.search.designed import Designed
from tuner.search.observer import Observer
from tuner.search.outcome import StudyOutcome
from tuner.search.proposer import Proposal, Proposer, Searched
from tuner.study import StudyConfig
from tuner.timing import now

BASELINE = 0
"""Number of the baseline trial, where a study has one."""
PROGRESS_SECONDS = 10.0
"""Time between two journal entries of running trials' progress, for the ledger if a driver dies."""


class Driver:
    """The driver of one study in progress.

    Args:
        study: the study's settings.
        journal: a journal open for writing; the events it already holds are replayed.
        observers: objects that are told about every fact from now on.

    Raises:
        UserError: from every method, if the journal cannot be written; `outcome` keeps the error.
    """

    def __init__(
        self, study: StudyConfig, journal: Journal, observers: Sequence[Observer] = ()
    ) -> None:
        self._study = study
        self._journal = journal
        self._writer = Writer(journal)
        self._observers = observers
        self._budget = study.trials
        self._proposer: Proposer = Searched(study) if study.design is None else Designed(study)
        self._limits = Limits.of(study)
        protected = frozenset({BASELINE} if study.baseline is not None else ())
        rungs, eta = study.rungs, study.scheduler.reduction_factor
        self._asha = Asha(rungs, eta, protected) if study.scheduler.kind == "asha" else None
        self._waiting: deque[int] = deque()
        self._under_way: set[int] = set()  # given out, and neither ended nor back in the queue
        self._exhausted = False  # the proposer has no more points
        self._seen: dict[int, int] = {}  # pairs seen by running trials, newer than in the journal
        self._seen_written = time.monotonic()
        self._replay()
        self.outcome: StudyOutcome | None = None
        """The reason why the study stops before its trials have ended; None while it goes on."""

    def start(self) -> None:
        """Start working, and pick up the trials that a killed driver left."""
        self._write(DriverStarted(time=now(), tuner=__version__))
        self._tell_study("study_started")
        for number in list(self._waiting):  # a driver died before it journalled its decision
            if self._trial(number).evaluations and not self._goes_on(number):
                self._waiting.remove(number)
                self._conclude(number)

    def next_trial(self) -> TrialRecord | None:
        """Return the next trial to run: an unfinished one, the baseline, or a new proposal.

        None if no trial is ready now; `done` says whether one may come later.
        """
        if self.should_stop() or not (self._waiting or self._may_create()):
            return None
        if self._waiting:
            number = self._waiting.popleft()
        else:
            number = len(self._journal.history.trials)
            proposal = self._proposer.propose(number, self._journal.history.trials)
            if not isinstance(proposal, Proposal):
                self._exhausted = proposal is None
                return None
            self._create(number, proposal)
        self._under_way.add(number)
        return self._trial(number)

    @property
    def done(self) -> bool:
        """True when no trial waits or runs and none will be created, or the study should stop."""
        return self.should_stop() or not (self._under_way or self._waiting or self._may_create())

    def trial_started(self, number: int) -> None:
        """Record that a worker begins to train the trial, for the first time or again.

        A trial that has ended stays ended, even if its worker is lost just afterwards.
        """
        if self._trial(number).state in END_STATES:
            return
        held = self._study.resources
        gpus, cpus = held.gpus_per_trial, held.cpus_per_trial
        self._write(TrialStarted(time=now(), number=number, gpus=gpus, cpus=cpus))
        for observer in self._observers:
            observer.trial_started(self._trial(number))

    def restored(self, number: int, pairs_seen: int) -> None:
        """Record the pairs seen at which an attempt resumes from its checkpoint; 0 without one."""
        if self._writer.late:
            return
        if self._trial(number).attempts > 1:
            self._write(TrialRestored(time=now(), number=number, pairs_seen=pairs_seen))
        self._seen[number] = pairs_seen

    def note(self, event: Event) -> None:
        """Journal a fact that changes no trial's course, such as its nodes or its test scores."""
        self._write(event)

    def progressed(self, number: int, pairs_seen: int, phase: Phase) -> None:
        """Record a running trial's progress between two rungs."""
        if self._writer.late:
            return
        self._seen[number] = pairs_seen
        if time.monotonic() - self._seen_written > PROGRESS_SECONDS:
            self._write_progress()
        for observer in self._observers:
            observer.progressed(self._trial(number), pairs_seen, phase)

    def evaluated(self, number: int, evaluation: Evaluation) -> bool:
        """Record an evaluation and decide; return True if the trial continues.

        A known evaluation changes nothing: a trial that restarts from a checkpoint reports the
        evaluations in it again.
        """
        trial = self._trial(number)
        if all(evaluation.rung != known.rung for known in trial.evaluations):
            self._write(Evaluated(time=now(), number=number, evaluation=evaluation))
            self._proposer.evaluated(number, evaluation.rung, evaluation.objective)
            for observer in self._observers:
                observer.evaluated(self._trial(number), evaluation)
        self._seen[number] = max(evaluation.pairs_seen, self._seen.get(number, 0))
        if trial.state == "running" and not self._goes_on(number):
            self._conclude(number)
        return self._trial(number).state == "running"

    def attempt_failed(self, number: int, kind: FailureKind, reason: str) -> None:
        """Record a failed attempt, and retry the trial, fail it, or pause the whole study."""
        if self._trial(number).state in END_STATES:
            return
        seen = max(self._seen.pop(number, 0), self._trial(number).pairs_seen)
        failure = Failure(time=now(), kind=kind, reason=reason, pairs_seen=seen)
        self._write(AttemptFailed(time=failure.time, number=number, failure=failure))
        self._under_way.discard(number)
        verdict, why = failures.verdict(self._trial(number), self._study.resources)
        if verdict == "failed":
            self._end(number, "failed", why)
            if why := failures.all_alike(self._journal.history.trials.values()):
                self.outcome = StudyOutcome("failed", why)
            return
        self._waiting.appendleft(number)
        if verdict == "pause":
            self.outcome = StudyOutcome.paused(self._study.folder, number, kind, why)

    def should_stop(self) -> bool:
        """Return whether trials should stop: the study pauses, failed or has spent its budget."""
        if self.outcome is None and (spent := self._limits.spent(self.record())):
            self.outcome = StudyOutcome("completed", spent)
        return self.outcome is not None

    def finish(self, interrupted: bool = False) -> StudyRecord:
        """End this driver's work cleanly; trials that still run are marked interrupted."""
        if self.outcome is not None and not self.outcome.journalled:
            update = {"state": self.outcome.state, "reason": self.outcome.reason}
            self._tell_study("study_ended", update)
            return self.record()
        self._write_progress()
        trials = self._journal.history.trials
        no_room = not self._exhausted and len(trials) < self._budget
        outcome = self.outcome or StudyOutcome.at_the_end(interrupted, no_room)
        for number, trial in list(trials.items()):
            if trial.state == "running":
                self._end(number, "interrupted", outcome.reason)
        outcome = outcome.of(self.record())
        self._write(DriverEnded(time=now(), state=outcome.state, reason=outcome.reason))
        self._tell_study("study_ended")
        return self.record()

    def take_over(self) -> None:
        """Let only this thread write from now on, since another one hangs in Ray and may resume."""
        self._writer.take_over()

    def record(self) -> StudyRecord:
        """Return the current record of the study."""
        return self._journal.history.record(now())

    def _replay(self) -> None:
        """Rebuild rungs, sampler and the queue of unfinished trials from the journal."""
        for number, trial in self._journal.history.trials.items():
            self._proposer.replay(trial)
            if trial.state not in END_STATES:
                self._waiting.append(number)
        for number, evaluation in self._journal.history.arrivals:
            if self._asha is not None:
                self._asha.goes_on(number, evaluation.rung, evaluation.objective)

    def _goes_on(self, number: int) -> bool:
        """Return whether the trial's latest evaluation lets it continue to another rung."""
        trial = self._trial(number)
        last = trial.last
        assert last is not None
        if last.rung == trial.budget:
            return False
        return self._asha is None or self._asha.goes_on(number, last.rung, last.objective)

    def _conclude(self, number: int) -> None:
        trial = self._trial(number)
        last = trial.last
        assert last is not None
        if last.rung == trial.budget:
            self._end(number, "completed", f"full budget of {trial.budget:,} pairs")
        else:
            self._end(number, "pruned", f"stopped by ASHA at {last.rung:,} pairs")

    def _may_create(self) -> bool:
        if self._exhausted or len(self._journal.history.trials) >= self._budget:
            return False
        return self._limits.room(self.record())

    def _create(self, number: int, proposal: Proposal) -> None:
        self._write(
            TrialCreated(
                time=now(),
                number=number,
                origin=proposal.origin,
                arm=proposal.arm,
                params=proposal.params,
                config=proposal.config,
                budget=self._study.rungs_of(proposal.config)[-1],
            )
        )

    def _end(self, number: int, state: TrialState, reason: str) -> None:
        self._write(TrialEnded(time=now(), number=number, state=state, reason=reason))
        self._under_way.discard(number)
        self._seen.pop(number, None)
        trial = self._trial(number)
        self._proposer.trial_ended(number, state, trial.last.objective if trial.last else None)
        for observer in self._observers:
            observer.trial_ended(trial)

    def _tell_study(self, what: str, update: Mapping[str, str] | None = None) -> None:
        record = self.record().model_copy(update=update)
        for observer in self._observers:
            getattr(observer, what)(record)

    def _write_progress(self) -> None:
        running = {n: at for n, at in dict(self._seen).items() if self._trial(n).state == "running"}
        if any(at > self._trial(number).pairs_seen for number, at in running.items()):
            self._write(Progressed(time=now(), pairs_seen=running))
        self._seen_written = time.monotonic()

    def _write(self, event: Event) -> None:
        try:
            self._writer.append(event)
        except UserError as error:
            self.outcome = StudyOutcome("interrupted", error.problem, error, journalled=False)
            raise

    def _trial(self, number: int) -> TrialRecord:
        return self._journal.history.trials[number]
