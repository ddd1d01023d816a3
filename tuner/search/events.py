"""What is written to the journal, and the study that these events add up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tuner.config import TrialConfig
from tuner.records import (
    Evaluation,
    Record,
    StudyRecord,
    StudyState,
    TrialRecord,
    TrialState,
)


class _Event(Record):
    time: float = Field(description="Unix time, seconds")


class StudyCreated(_Event):
    """The first event: all that stays as it is."""

    event: Literal["study_created"] = "study_created"
    name: str
    id: str
    settings: dict[str, Any]
    facts: dict[str, Any]
    rungs: tuple[int, ...]


class DriverStarted(_Event):
    """A `search` or `resume` began to work on the study."""

    event: Literal["driver_started"] = "driver_started"


class DriverEnded(_Event):
    """It ended in an orderly way; a killed driver leaves none."""

    event: Literal["driver_ended"] = "driver_ended"
    state: StudyState
    reason: str = ""


class TrialCreated(_Event):
    """A configuration was chosen."""

    event: Literal["trial_created"] = "trial_created"
    number: int
    origin: Literal["baseline", "sampler"]
    params: dict[str, Any]
    config: TrialConfig


class TrialStarted(_Event):
    """A worker began to train it, for the first time or again."""

    event: Literal["trial_started"] = "trial_started"
    number: int


class Evaluated(_Event):
    """A trial was evaluated at a rung."""

    event: Literal["evaluated"] = "evaluated"
    number: int
    evaluation: Evaluation


class TrialEnded(_Event):
    """A trial ended, or was interrupted and can go on."""

    event: Literal["trial_ended"] = "trial_ended"
    number: int
    state: TrialState
    reason: str = ""


Event = (
    StudyCreated
    | DriverStarted
    | DriverEnded
    | TrialCreated
    | TrialStarted
    | Evaluated
    | TrialEnded
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class History:
    """Events folded into the study they describe. Folding an evaluation twice changes nothing.

    Attributes:
        trials: by number, as they stand.
        arrivals: (trial, evaluation) in the order in which they came in.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._created: StudyCreated | None = None
        self._state: StudyState = "running"
        self._reason = ""
        self._seconds = 0.0
        self._driver_since: float | None = None
        self._latest = 0.0
        self.trials: dict[int, TrialRecord] = {}
        self.arrivals: list[tuple[int, Evaluation]] = []
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one more event, in the journal's order."""
        if isinstance(event, DriverStarted):
            self._close_driver(self._latest)  # the driver before was killed
            self._driver_since = event.time
            self._state, self._reason = "running", ""
        self._latest = max(self._latest, event.time)
        match event:
            case StudyCreated():
                self._created = event
            case DriverEnded():
                self._close_driver(event.time)
                self._state, self._reason = event.state, event.reason
            case TrialCreated():
                self.trials[event.number] = TrialRecord(
                    number=event.number,
                    origin=event.origin,
                    params=event.params,
                    config=event.config,
                )
            case TrialStarted():
                trial = self.trials[event.number]
                self._update(
                    event.number,
                    state="running",
                    reason="",
                    attempts=trial.attempts + 1,
                    started=event.time if trial.started is None else trial.started,
                    ended=None,
                )
            case Evaluated():
                trial = self.trials[event.number]
                if all(event.evaluation.rung != known.rung for known in trial.evaluations):
                    self.arrivals.append((event.number, event.evaluation))
                    evaluations = (*trial.evaluations, event.evaluation)
                    self._update(event.number, evaluations=evaluations)
            case TrialEnded():
                self._update(event.number, state=event.state, reason=event.reason, ended=event.time)

    def record(self, now: float | None = None) -> StudyRecord:
        """The study as it stands.

        Args:
            now: Unix time, seconds, up to which a driver works on it; else up to the last event.
        """
        assert self._created is not None, "the journal does not begin with the study's creation"
        until = self._latest if now is None else now
        running = until - self._driver_since if self._driver_since is not None else 0.0
        return StudyRecord(
            name=self._created.name,
            id=self._created.id,
            created=self._created.time,
            settings=self._created.settings,
            facts=self._created.facts,
            rungs=self._created.rungs,
            state=self._state,
            reason=self._reason,
            seconds=self._seconds + running,
            trials=tuple(self.trials.values()),
        )

    def _update(self, number: int, **changes: Any) -> None:
        self.trials[number] = self.trials[number].model_copy(update=changes)

    def _close_driver(self, time: float) -> None:
        if self._driver_since is not None:
            self._seconds += time - self._driver_since
            self._driver_since = None
