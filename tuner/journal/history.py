"""History: a journal's events folded into the study that they describe."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

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
    Attempt,
    Evaluation,
    FailureKind,
    Recommendation,
    StudyRecord,
    StudyState,
    TrialRecord,
    TrialState,
)
from tuner.study.settings import StudySettings

AttemptOutcome = TrialState | FailureKind


class History:
    """Events folded into the study they describe. Folding an evaluation twice changes nothing.

    Attributes:
        trials: the current record of each trial, by number.
        began: the storage in which the study began, if known.
        arrivals: (trial, evaluation) in order of arrival.
        recommendation: a confirmation's recommendation, once it has one.
        requests: ids of the users' requests that were carried out.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._created: StudyCreated | None = None
        self._settings: StudySettings | None = None
        self._state: StudyState = "running"
        self._reason = ""
        self._seconds = 0.0
        self._driver_since: float | None = None
        self._attempts: dict[int, TrialStarted] = {}  # running attempts
        self._placed: dict[int, Attempt] = {}  # running attempts that reached a first step
        self._waiting: dict[int, float] = {}  # when each trial began to wait, across drivers
        self._nodes = NodeSpans()
        self._clock = JournalClock()
        self.began = ""
        self.trials: dict[int, TrialRecord] = {}
        self.arrivals: list[tuple[int, Evaluation]] = []
        self.recommendation: Recommendation | None = None
        self.requests: set[str] = set()
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Fold in the next event, in the journal's order."""
        event = self._in_order(event)
        match event:
            case StudyCreated():
                self._created = event
                self._settings = StudySettings.model_validate(event.settings)
            case SettingsChanged():
                assert self._settings is not None
                whole = self._settings.model_dump(mode="json") | event.settings
                self._settings = StudySettings.model_validate(whole)
            case DriverStarted():
                self._end_driver(self._clock.latest)  # a driver without a DriverEnded was killed
                self._driver_since = event.time
                self._state, self._reason = "running", ""
            case DriverEnded():
                self._end_driver(event.time)
                self._state, self._reason = event.state, event.reason
            case NodeJoined():
                self._nodes.joined(event)
            case NodeLeft():
                self._nodes.ended(event.node, event.time)
            case TrialCreated():
                self._waiting[event.number] = event.time
                self.trials[event.number] = TrialRecord(
                    number=event.number,
                    origin=event.origin,
                    arm=event.arm,
                    params=event.params,
                    config=event.config,
                    budget=event.budget,
                )
                self.requests.add(event.request)
            case Recommended():
                self.recommendation = event.recommendation
            case Progressed():
                for number, pairs_seen in event.pairs_seen.items():
                    self._seen(number, pairs_seen)
            case _:
                self._apply_to_trial(event)
        if not isinstance(event, SettingsChanged):  # the next driver writes it, maybe much later
            self._clock.latest = event.time

    def _in_order(self, event: Event) -> Event:
        """Return the event with its time corrected so it is not before the previous event."""
        if isinstance(event, DriverStarted):
            self._clock.restart()
        time = self._clock.corrected(event.time)
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
                self._attempts[number] = event
                self._update(
                    number,
                    state="running",
                    reason="",
                    attempts=trial.attempts + 1,
                    started=event.time if trial.started is None else trial.started,
                    ended=None,
                )
            case TrialPlaced():
                self._place(event)
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
                self._waiting[number] = event.time
                self._update(
                    number,
                    state="interrupted",
                    reason=event.failure.reason,
                    failures=(*trial.failures, event.failure),
                )
            case Evaluated():
                self._seen(number, event.evaluation.pairs_seen)
                if all(event.evaluation.rung != known.rung for known in trial.evaluations):
                    self.arrivals.append((number, event.evaluation))
                    self._update(number, evaluations=(*trial.evaluations, event.evaluation))
            case Tested():
                self._update(number, tests=(*trial.tests, event.on_test))
            case TrialPaused():
                self._end_attempt(number, event.time, "paused")
                self._update(number, state="paused", reason=event.reason)
            case TrialResumed():
                self._waiting[number] = event.time
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
        return self._created is not None

    @property
    def rungs(self) -> tuple[int, ...]:
        """The study's rungs; empty before it was created."""
        return () if self._created is None else self._created.rungs

    @property
    def prior(self) -> tuple[PriorTrial, ...]:
        """Trials of earlier studies that the sampler learns from."""
        return () if self._created is None else self._created.prior

    @property
    def nodes(self) -> Collection[str]:
        """Ids of the cluster's nodes, as the current driver knows them."""
        return self._nodes.present

    def record(self, now: float | None = None) -> StudyRecord:
        """Return the current study.

        Args:
            now: Unix time in seconds until which the driver has worked; default: the last event's.
        """
        assert self._created is not None, "the journal does not begin with the study's creation"
        assert self._settings is not None
        until = self._clock.latest if now is None else self._clock.shown(now)
        running = until - self._driver_since if self._driver_since is not None else 0.0
        trials = {number: self._worked(number, until) for number in self.trials}
        return StudyRecord(
            name=self._created.name,
            id=self._created.id,
            created=self._created.time,
            began=self.began,
            settings=self._settings,
            facts=self._created.facts,
            rungs=self._created.rungs,
            rules=self._created.rules,
            state=self._state,
            reason=self._reason,
            seconds=self._seconds + running,
            trials=tuple(trials.values()),
            nodes=self._nodes.until(until),
            recommendation=self.recommendation,
        )

    def _seen(self, number: int, pairs_seen: int) -> None:
        self._update(number, pairs_seen=max(pairs_seen, self.trials[number].pairs_seen))

    def _update(self, number: int, **changes: Any) -> None:
        self.trials[number] = self.trials[number].model_copy(update=changes)

    def _worked(
        self, number: int, until: float, outcome: AttemptOutcome = "running"
    ) -> TrialRecord:
        """Return the trial including the time that its running attempt, if any, has taken."""
        trial, attempt = self.trials[number], self._attempts.get(number)
        if attempt is None:
            return trial
        seconds = until - attempt.time
        worked: dict[str, Any] = {
            "seconds": trial.seconds + seconds,
            "gpu_seconds": trial.gpu_seconds + seconds * attempt.gpus,
        }
        if placed := self._placed.get(number):
            ended = placed.model_copy(update={"ended": until, "outcome": outcome})
            worked["placed"] = (*trial.placed, ended)
        return trial.model_copy(update=worked)

    def _place(self, event: TrialPlaced) -> None:
        attempt = self._attempts.get(event.number)
        if attempt is not None:
            self._placed[event.number] = Attempt(
                nodes=event.nodes,
                gpus=attempt.gpus,
                cpus=attempt.cpus,
                waiting=self._waiting[event.number],
                placed=event.time,
                ended=event.time,
            )

    def _end_attempt(self, number: int, time: float, outcome: AttemptOutcome) -> None:
        self.trials[number] = self._worked(number, time, outcome)
        self._attempts.pop(number, None)
        self._placed.pop(number, None)

    def _end_driver(self, time: float) -> None:
        if self._driver_since is not None:
            self._seconds += time - self._driver_since
            self._driver_since = None
        for number in list(self._attempts):
            self._end_attempt(number, time, "interrupted")
            self._update(number, state="interrupted", reason="its driver died")
        for node in list(self._nodes.present):  # the next driver writes the nodes again
            self._nodes.ended(node, time)
