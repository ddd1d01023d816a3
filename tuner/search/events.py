"""What is written to the journal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tuner.config import TrialConfig
from tuner.records import (
    Evaluation,
    Failure,
    Record,
    StudyState,
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


class SettingsChanged(_Event):
    """A `resume` with a larger budget, or with other resources: blocks of settings, whole."""

    event: Literal["settings_changed"] = "settings_changed"
    settings: dict[str, dict[str, Any]]


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
    gpus: float = 0.0


class TrialRestored(_Event):
    """An attempt after the first goes on from a checkpoint, or, at 0 pairs, from the beginning."""

    event: Literal["trial_restored"] = "trial_restored"
    number: int
    pairs_seen: int


class Progressed(_Event):
    """How far the running trials are: every few seconds, for the ledger of a driver that dies."""

    event: Literal["progressed"] = "progressed"
    pairs_seen: dict[int, int]


class AttemptFailed(_Event):
    """An attempt at a trial failed. The trial goes on, unless it ends right after."""

    event: Literal["attempt_failed"] = "attempt_failed"
    number: int
    failure: Failure


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
    | SettingsChanged
    | TrialCreated
    | TrialStarted
    | TrialRestored
    | Progressed
    | AttemptFailed
    | Evaluated
    | TrialEnded
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
