"""What is written to the journal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tuner.journal.records import Evaluation, Failure, OnTest, Origin, Recommendation, StudyState
from tuner.study.scores import Count, Record
from tuner.study.trial import RecordedConfig

MOST = 1e6
"""CPUs, or GPUs, that no node has, and no trial holds."""


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
    tuner: str = Field("", description="version of this tool, which writes what follows")


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
    origin: Origin
    arm: str = ""
    params: dict[str, Any]
    config: RecordedConfig
    budget: int = Field(ge=1)


class TrialStarted(_Event):
    """A worker began to train it, for the first time or again."""

    event: Literal["trial_started"] = "trial_started"
    number: int
    gpus: float = Field(0.0, ge=0, lt=MOST)
    cpus: float = Field(0.0, ge=0, lt=MOST)


class TrialPlaced(_Event):
    """Its first step comes next, on these nodes: one for each of its workers, by Ray's ids."""

    event: Literal["trial_placed"] = "trial_placed"
    number: int
    nodes: tuple[str, ...] = Field(min_length=1)


class TrialRestored(_Event):
    """An attempt after the first goes on from a checkpoint, or, at 0 pairs, from the beginning."""

    event: Literal["trial_restored"] = "trial_restored"
    number: int
    pairs_seen: Count


class Progressed(_Event):
    """How far the running trials are: every few seconds, for the ledger of a driver that dies."""

    event: Literal["progressed"] = "progressed"
    pairs_seen: dict[int, Count]


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
    state: Literal["completed", "pruned", "failed", "interrupted"]
    reason: str = ""


class Recommended(_Event):
    """A confirmation has chosen, on permitted dev alone; only after it may test be read."""

    event: Literal["recommended"] = "recommended"
    recommendation: Recommendation


class Tested(_Event):
    """A trial of a confirmation was evaluated on test."""

    event: Literal["tested"] = "tested"
    number: int
    on_test: OnTest


class NodeJoined(_Event):
    """The cluster has this node: from here on, or, where a driver has just started, already."""

    event: Literal["node_joined"] = "node_joined"
    node: str = Field(description="Ray's id")
    cpus: float = Field(ge=0, lt=MOST)
    gpus: float = Field(ge=0, lt=MOST)
    head: bool = Field(description="whether it is the cluster's head")


class NodeLeft(_Event):
    """It has gone; those that are there when a driver ends, or dies, are not told to leave."""

    event: Literal["node_left"] = "node_left"
    node: str


Event = (
    StudyCreated
    | DriverStarted
    | DriverEnded
    | SettingsChanged
    | TrialCreated
    | TrialStarted
    | TrialPlaced
    | TrialRestored
    | Progressed
    | AttemptFailed
    | Evaluated
    | TrialEnded
    | Recommended
    | Tested
    | NodeJoined
    | NodeLeft
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
