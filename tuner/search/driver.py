"""The driver: it asks for trials, journals every fact, and decides which trials continue.

The driver is pure Python: the Ray engine feeds it, and observers (MLflow, the terminal) watch it.
It journals every fact before it tells anyone. A driver rebuilt from a journal has the same state as
the driver that wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner import __version__
from tuner.errors import UserError
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    EndedState,
    Evaluated,
    Event,
    TrialEnded,
    TrialPaused,
    TrialRestored,
    TrialStarted,
)
from tuner.journal.inbox import AddTrial, Request, StopTrial
from tuner.journal.journal import Journal
from tuner.journal.records import (
    AT_REST,
    Evaluation,
    Failure,
    FailureKind,
    StudyRecord,
    TrialRecord,
)
from tuner.journal.writer import Writer
from tuner.progress import Phase
from tuner.search import failures
from tuner.search.heartbeats import Heartbeats
from tuner.search.observer import Observer
from tuner.search.outcome import StudyOutcome
from tuner.search.requested import check_stoppable
from tuner.search.schedule import Schedule
from tuner.search.supply import Supply
from tuner.study import StudyConfig
from tuner.timing import now


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
        self._schedule = Schedule(study, journal.history.trials.values())
        self._supply = Supply(study, self._schedule, journal.history)
        self._heartbeats = Heartbeats()
        self.outcome: StudyOutcome | None = None
        """The reason why the study stops before its trials have ended; None while it goes on."""

    def start(self) -> None:
        """Start working, and pick up the trials that a killed driver left."""
        self._write(DriverStarted(time=now(), tuner=__version__))
        self._tell_study("study_started")
        latest = self._journal.history.last_arrival
        for number in self._schedule.waiting:
            if number == latest:  # a driver may have died before its decision
                self._decide(number)
            else:
                self._hold(number, self._trial(number).pairs_seen)
        self._choose()

    def next_trial(self) -> TrialRecord | None:
        """Return the next trial to run: an unfinished one, a paused one to resume, or a new one.

        None if no trial is ready now; `done` says whether one may come later.
        """
        if self.should_stop():
            return None
        if not self._schedule.waiting and (another := self._supply.next()) is not None:
            self._write(another)
            self._schedule.queue(another.number)
        return self._trial(self._schedule.take()) if self._schedule.waiting else None

    @property
    def done(self) -> bool:
        """True when no trial waits or runs and none will be created, or the study should stop."""
        return self.should_stop() or (self._schedule.is_idle and not self._supply.has_more)

    def trial_started(self, number: int) -> None:
        """Record that a worker begins to train the trial, for the first time or again.

        A trial at rest stays there, even if its worker is lost just afterwards.
        """
        if self._trial(number).state in AT_REST:
            return
        gpus, cpus = self._study.resources.gpus_per_trial, self._study.resources.cpus_per_trial
        self._write(TrialStarted(time=now(), number=number, gpus=gpus, cpus=cpus))
        for observer in self._observers:
            observer.trial_started(self._trial(number))

    def restored(self, number: int, pairs_seen: int) -> None:
        """Record the pairs seen at which an attempt resumes from its checkpoint; 0 without one."""
        if self._writer.late:
            return
        if self._trial(number).attempts > 1:
            self._write(TrialRestored(time=now(), number=number, pairs_seen=pairs_seen))
        self._heartbeats.note(number, pairs_seen)

    def note(self, event: Event) -> None:
        """Journal a fact that changes no trial's course, such as its nodes or its test scores."""
        self._write(event)

    def progressed(self, number: int, pairs_seen: int, phase: Phase) -> bool:
        """Record a running trial's progress between two rungs; return True if it continues.

        It is held to the bar of its last rung, which may have risen since it passed.
        """
        if self._writer.late:
            return True
        self._heartbeats.note(number, pairs_seen)
        if self._heartbeats.due:
            self._write_progress()
        for observer in self._observers:
            observer.progressed(self._trial(number), pairs_seen, phase)
        self._hold(number, pairs_seen)
        return self._trial(number).state == "running"

    def evaluated(self, number: int, evaluation: Evaluation) -> bool:
        """Record an evaluation and decide; return True if the trial continues.

        A known one changes nothing: a trial that restarts reports those in its checkpoint again.
        """
        trial = self._trial(number)
        if all(evaluation.rung != known.rung for known in trial.evaluations):
            self._write(Evaluated(time=now(), number=number, evaluation=evaluation))
            self._schedule.arrived(number, evaluation.rung, evaluation.objective)
            for observer in self._observers:
                observer.evaluated(self._trial(number), evaluation)
        self._heartbeats.note(number, max(evaluation.pairs_seen, self._heartbeats.latest(trial)))
        if trial.state == "running":
            self._decide(number)
        return self._trial(number).state == "running"

    def attempt_failed(self, number: int, kind: FailureKind, reason: str) -> None:
        """Record a failed attempt, and retry the trial, fail it, or pause the whole study."""
        if self._trial(number).state in AT_REST:
            return
        seen = self._heartbeats.latest(self._trial(number))
        self._heartbeats.forget(number)
        failure = Failure(time=now(), kind=kind, reason=reason, pairs_seen=seen)
        self._write(AttemptFailed(time=failure.time, number=number, failure=failure))
        verdict, why = failures.verdict(self._trial(number), self._study.resources)
        if verdict == "failed":
            self._end(number, "failed", why)
            if why := failures.all_alike(self._journal.history.trials.values()):
                self.outcome = StudyOutcome("failed", why)
            return
        self._schedule.retry(number)
        if verdict == "pause":
            self.outcome = StudyOutcome.paused(self._study.folder, number, kind, why)

    def asked(self, id_: str, request: Request) -> str:
        """Carry out a user's request, once.

        Returns:
            The reason why it is refused, in words; empty if it was carried out, now or before.
        """
        if id_ in self._journal.history.requests:
            return ""
        try:
            match request:
                case AddTrial():
                    created = self._supply.added(request.params, id_)
                    self._write(created)
                    self._schedule.queue(created.number)
                case StopTrial():
                    self._stop(request.number, id_)
        except UserError as error:
            if self.outcome is not None:  # the journal cannot be written
                raise
            return str(error)
        return ""

    def should_stop(self) -> bool:
        """Return whether trials should stop: the study pauses, failed or has spent its budget."""
        if self.outcome is None and (spent := self._supply.spent):
            self.outcome = StudyOutcome("completed", spent)
        return self.outcome is not None

    def finish(self, interrupted: bool = False) -> StudyRecord:
        """End this driver's work cleanly; trials that still run are marked interrupted."""
        if self.outcome is not None and not self.outcome.journalled:
            update = {"state": self.outcome.state, "reason": self.outcome.reason}
            self._tell_study("study_ended", update)
            return self.record()
        self._write_progress()
        outcome = self.outcome or StudyOutcome.at_the_end(interrupted, self._supply.end)
        for number, trial in list(self._journal.history.trials.items()):
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

    def _decide(self, number: int) -> None:
        """Let a trial end or pause at its last rung, if it does not continue."""
        trial = self._trial(number)
        last = trial.last
        assert last is not None
        match self._schedule.decision(trial):
            case "continue":
                pass
            case "pause":
                reason = f"paused by ASHA at {last.rung:,} pairs"
                self._write(TrialPaused(time=now(), number=number, reason=reason))
                self._rest(number)
            case "stop" if last.rung == trial.budget:
                self._end(number, "completed", f"full budget of {trial.budget:,} pairs")
            case "stop":
                self._end(number, "pruned", f"stopped by ASHA at {last.rung:,} pairs")

    def _hold(self, number: int, pairs_seen: int) -> None:
        """Stop a trial that other trials have overtaken at its last rung."""
        trial = self._trial(number)
        if trial.state in AT_REST or not self._schedule.falls(trial, pairs_seen):
            return
        assert trial.last is not None
        where = f"at {trial.last.rung:,} pairs, when others overtook it there"
        self._end(number, "pruned", f"stopped by ASHA {where} ({pairs_seen:,} pairs seen)")

    def _end(self, number: int, state: EndedState, reason: str, request: str = "") -> None:
        ended = TrialEnded(time=now(), number=number, state=state, reason=reason, request=request)
        self._write(ended)
        self._rest(number)

    def _stop(self, number: int, request: str) -> None:
        """Stop a trial that a user no longer wants.

        Raises:
            UserError: there is no such trial, or it has ended.
        """
        check_stoppable(self._study, list(self._journal.history.trials.values()), number)
        self._end(number, "pruned", "stopped by hand", request)

    def _rest(self, number: int) -> None:
        """Tell everyone that a trial ended or paused."""
        self._heartbeats.forget(number)
        trial = self._trial(number)
        (self._schedule.pause if trial.state == "paused" else self._schedule.end)(number)
        for observer in self._observers:
            observer.trial_ended(trial)
        self._choose()

    def _choose(self) -> None:
        """Fix a confirmation's recommendation, if the trials that choose have ended."""
        if (chosen := self._supply.choice()) is not None:
            self._write(chosen)
            self._tell_study("recommended")

    def _tell_study(self, what: str, update: Mapping[str, str] | None = None) -> None:
        record = self.record().model_copy(update=update)
        for observer in self._observers:
            getattr(observer, what)(record)

    def _write_progress(self) -> None:
        if event := self._heartbeats.unwritten(self._journal.history.trials):
            self._write(event)

    def _write(self, event: Event) -> None:
        try:
            self._writer.append(event)
        except UserError as error:
            self.outcome = StudyOutcome("interrupted", error.problem, error, journalled=False)
            raise

    def _trial(self, number: int) -> TrialRecord:
        return self._journal.history.trials[number]
