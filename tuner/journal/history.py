"""History: a journal's events folded into the study that they describe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tuner.journal.attempts import AttemptOutcome, Attempts
from tuner.journal.clock import JournalClock
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    NodeJoined,
    NodeLeft,
    Progressed,
    Recommended,
    SettingsChanged,
    StudyCreated,
    Tested,
    TestOpened,
    TrialCreated,
    TrialEnded,
    TrialPaused,
    TrialPlaced,
    TrialRestored,
    TrialResumed,
    TrialStarted,
)
from tuner.journal.node_spans import NodeSpans
from tuner.journal.prior import PriorTrial
from tuner.journal.records import (
    AT_REST,
    Recommendation,
    StudyRecord,
    StudyState,
    TrialRecord,
)
from tuner.journal.tally import Tally
from tuner.study.settings import StudySettings


@dataclass
class History:
    """Events folded into the study they describe. Folding an evaluation twice changes nothing.

    All its attributes together are its state; `tuner.journal.snapshot` writes them down.

    Attributes:
        created: the study's first event.
        settings: its settings after all changes.
        began: the storage in which the study began, if known.
        state, reason: as its last driver left them.
        seconds: the time that earlier drivers worked.
        driver_since: the time at which the current driver started (Unix, seconds).
        trials: the current record of each trial, by number; only read it.
        tally: the sums over them; running attempts do not count yet.
        under_way: numbers of the trials that are not at rest.
        attempts: the attempts under way.
        nodes: the nodes of the cluster.
        clock: the clock of the journal.
        last_arrival: the trial whose evaluation arrived last.
        recommendation: a confirmation's recommendation, once it has one.
        read_before: earlier readings of test in words, once a confirmation is about to read it.
        requests: ids of the users' requests that were carried out.
    """

    created: StudyCreated | None = None
    settings: StudySettings | None = None
    began: str = ""
    state: StudyState = "running"
    reason: str = ""
    seconds: float = 0.0
    driver_since: float | None = None
    trials: dict[int, TrialRecord] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    under_way: set[int] = field(default_factory=set)
    attempts: Attempts = field(default_factory=Attempts)
    nodes: NodeSpans = field(default_factory=NodeSpans)
    clock: JournalClock = field(default_factory=JournalClock)
    last_arrival: int | None = None
    recommendation: Recommendation | None = None
    read_before: tuple[str, ...] | None = None
    requests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """Return the history that events make, in the journal's order."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

    def apply(self, event: Event) -> None:
        """Fold in the next event, in the journal's order."""
        event = self._in_order(event)
        match event:
            case StudyCreated():
                self.created = event
                self.settings = StudySettings.model_validate(event.settings)
            case SettingsChanged():
                assert self.settings is not None
                whole = self.settings.model_dump(mode="json") | event.settings
                self.settings = StudySettings.model_validate(whole)
            case DriverStarted():
                self._end_driver(self.clock.latest)  # a driver without a DriverEnded was killed
                self.driver_since = event.time
                self.state, self.reason = "running", ""
            case DriverEnded():
                self._end_driver(event.time)
                self.state, self.reason = event.state, event.reason
            case NodeJoined():
                self.nodes.joined(event)
            case NodeLeft():
                self.nodes.ended(event.node, event.time)
            case TrialCreated():
                self.attempts.waits(event.number, event.time)
                self._set(
                    TrialRecord(
                        number=event.number,
                        origin=event.origin,
                        arm=event.arm,
                        params=event.params,
                        config=event.config,
                        budget=event.budget,
                    )
                )
                self.requests.add(event.request)
            case Recommended():
                self.recommendation = event.recommendation
            case TestOpened():
                self.read_before = event.before
            case Progressed():
                for number, pairs_seen in event.pairs_seen.items():
                    self._seen(number, pairs_seen)
            case _:
                self._apply_to_trial(event)
        if not isinstance(event, SettingsChanged):  # the next driver writes it, maybe much later
            self.clock.latest = event.time

    def _in_order(self, event: Event) -> Event:
        """Return the event with its time corrected so it is not before the previous event."""
        if isinstance(event, DriverStarted):
            self.clock.restart()
        time = self.clock.corrected(event.time)
        return event if time == event.time else event.model_copy(update={"time": time})

    def _apply_to_trial(
        self,
        event: TrialStarted
        | TrialPlaced
        | TrialRestored
        | AttemptFailed
        | Evaluated
        | TrialPaused
        | TrialResumed
        | TrialEnded
        | Tested,
    ) -> None:
        number = event.number
        trial = self.trials[number]
        match event:
            case TrialStarted():
                self.attempts.started(event)
                self._update(
                    number,
                    state="running",
                    reason="",
                    attempts=trial.attempts + 1,
                    started=event.time if trial.started is None else trial.started,
                    ended=None,
                )
            case TrialPlaced():
                self.attempts.reached_nodes(event)
            case TrialRestored():
                lost = max(0, trial.pairs_seen - event.pairs_seen)
                self._update(
                    number,
                    pairs_seen=event.pairs_seen,
                    repeated_pairs=trial.repeated_pairs + lost,
                )
            case AttemptFailed():
                self._seen(number, event.failure.pairs_seen)
                self._end_attempt(number, event.time, event.failure.kind)
                self.attempts.waits(number, event.time)
                self._update(
                    number,
                    state="interrupted",
                    reason=event.failure.reason,
                    failures=(*trial.failures, event.failure),
                )
            case Evaluated():
                self._seen(number, event.evaluation.pairs_seen)
                if all(event.evaluation.rung != known.rung for known in trial.evaluations):
                    self.last_arrival = number
                    self._update(number, evaluations=(*trial.evaluations, event.evaluation))
            case Tested():
                self._update(number, tests=(*trial.tests, event.on_test))
            case TrialPaused():
                self._end_attempt(number, event.time, "paused")
                self._update(number, state="paused", reason=event.reason)
            case TrialResumed():
                self.attempts.waits(number, event.time)
                self._update(
                    number,
                    state="pending",
                    reason=event.reason,
                    ended=None,
                    to_the_end=event.to_the_end,
                )
            case TrialEnded():
                self.requests.add(event.request)
                self._end_attempt(number, event.time, event.state)
                self._update(
                    number,
                    state=event.state,
                    reason=event.reason,
                    ended=event.time,
                    stopped_by_hand=bool(event.request),
                )

    @property
    def is_begun(self) -> bool:
        """True once the study was created."""
        return self.created is not None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The study's rungs; empty before it was created."""
        return () if self.created is None else self.created.rungs

    @property
    def prior(self) -> tuple[PriorTrial, ...]:
        """Trials of earlier studies that the sampler learns from."""
        return () if self.created is None else self.created.prior

    def record(self, now: float | None = None) -> StudyRecord:
        """Return the current study.

        Args:
            now: Unix time in seconds until which the driver has worked; default: the last event's.
        """
        assert self.created is not None, "the journal does not begin with the study's creation"
        assert self.settings is not None
        until = self.until(now)
        trials = tuple(self.attempts.worked(trial, until) for trial in self.trials.values())
        return StudyRecord(
            name=self.created.name,
            id=self.created.id,
            created=self.created.time,
            began=self.began,
            settings=self.settings,
            facts=self.created.facts,
            rungs=self.created.rungs,
            rules=self.created.rules,
            state=self.state,
            reason=self.reason,
            seconds=self.seconds_until(until),
            trials=trials,
            nodes=self.nodes.until(until),
            recommendation=self.recommendation,
            read_before=self.read_before,
        )

    def until(self, now: float | None) -> float:
        """Return the time up to which running attempts count: `now`, or the last event's."""
        return self.clock.latest if now is None else self.clock.shown(now)

    def seconds_until(self, until: float) -> float:
        """Return the seconds that drivers have worked by a time."""
        since = until if self.driver_since is None else self.driver_since
        return self.seconds + until - since

    def _seen(self, number: int, pairs_seen: int) -> None:
        self._update(number, pairs_seen=max(pairs_seen, self.trials[number].pairs_seen))

    def _update(self, number: int, **changes: Any) -> None:
        self._set(self.trials[number].model_copy(update=changes))

    def _set(self, trial: TrialRecord) -> None:
        self.tally.change(self.trials.get(trial.number), trial)
        self.trials[trial.number] = trial
        change = self.under_way.discard if trial.state in AT_REST else self.under_way.add
        change(trial.number)

    def _end_attempt(self, number: int, time: float, outcome: AttemptOutcome) -> None:
        self._set(self.attempts.ended(self.trials[number], time, outcome))

    def _end_driver(self, time: float) -> None:
        if self.driver_since is not None:
            self.seconds += time - self.driver_since
            self.driver_since = None
        for number in list(self.attempts.running):
            self._end_attempt(number, time, "interrupted")
            self._update(number, state="interrupted", reason="its driver died")
        for node in list(self.nodes.present):  # the next driver writes the nodes again
            self.nodes.ended(node, time)
