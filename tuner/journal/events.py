"""The events of the journal, one pydantic model each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_serializer

from tuner.journal.facts import StudyFacts
from tuner.journal.prior import PriorTrial
from tuner.journal.records import (
    Evaluation,
    Failure,
    OnTest,
    Origin,
    Recommendation,
    StudyState,
)
from tuner.study.scores import Count, Record
from tuner.study.trial import RecordedConfig

EndedState = Literal["completed", "pruned", "failed", "interrupted"]
"""The states in which a trial may end."""
MAX_RESOURCES = 1e6
"""Upper bound on CPUs or GPUs: every node and trial has fewer."""


class _Event(Record):
    time: float = Field(description="Unix time, seconds")


class StudyCreated(_Event):
    """The first event: everything about the study that never changes, and its first settings."""

    event: Literal["study_created"] = "study_created"
    name: str
    id: str
    settings: dict[str, Any]
    facts: StudyFacts
    rungs: tuple[int, ...]
    rules: int = Field(1, description="version of the rules by which trials are chosen")
    prior: tuple[PriorTrial, ...] = Field((), description="trials of earlier studies, learnt from")

    @field_serializer("facts")
    def _as_recorded(self, facts: StudyFacts) -> dict[str, Any]:
        """Leave out facts that were not recorded."""
        return facts.model_dump(mode="json", exclude_unset=True)


class DriverStarted(_Event):
    """A driver (`search` or `resume`) began to work on the study."""

    event: Literal["driver_started"] = "driver_started"
    tuner: str = Field("", description="version of this tool that wrote the records after this one")


class DriverEnded(_Event):
    """A driver ended cleanly; a killed driver writes no such event."""

    event: Literal["driver_ended"] = "driver_ended"
    state: StudyState
    reason: str = ""


class SettingsChanged(_Event):
    """A `resume` changed the budget or resources; holds whole blocks of settings."""

    event: Literal["settings_changed"] = "settings_changed"
    settings: dict[str, dict[str, Any]]


class TrialCreated(_Event):
    """A trial was created with its configuration."""

    event: Literal["trial_created"] = "trial_created"
    number: int
    origin: Origin
    arm: str = ""
    params: dict[str, Any]
    config: RecordedConfig
    budget: int = Field(ge=1)
    request: str = Field("", description="id of the user's request for it")


class TrialStarted(_Event):
    """An attempt at a trial started, the first or a later one."""

    event: Literal["trial_started"] = "trial_started"
    number: int
    gpus: float = Field(0.0, ge=0, lt=MAX_RESOURCES)
    cpus: float = Field(0.0, ge=0, lt=MAX_RESOURCES)


class TrialPlaced(_Event):
    """A trial is about to do its first step; `nodes` has one Ray node id for each worker."""

    event: Literal["trial_placed"] = "trial_placed"
    number: int
    nodes: tuple[str, ...] = Field(min_length=1)


class TrialRestored(_Event):
    """A later attempt continues from a checkpoint, or from the beginning if `pairs_seen` is 0."""

    event: Literal["trial_restored"] = "trial_restored"
    number: int
    pairs_seen: Count


class Progressed(_Event):
    """The progress of the running trials, written every few seconds in case the driver dies."""

    event: Literal["progressed"] = "progressed"
    pairs_seen: dict[int, Count]


class AttemptFailed(_Event):
    """An attempt at a trial failed. The trial is tried again unless a TrialEnded follows."""

    event: Literal["attempt_failed"] = "attempt_failed"
    number: int
    failure: Failure


class Evaluated(_Event):
    """A trial was evaluated at a rung."""

    event: Literal["evaluated"] = "evaluated"
    number: int
    evaluation: Evaluation


class TrialPaused(_Event):
    """A trial paused at a rung, for ASHA's promotion variant; its checkpoint stays."""

    event: Literal["trial_paused"] = "trial_paused"
    number: int
    reason: str = ""


class TrialResumed(_Event):
    """A paused or pruned trial is to continue, as soon as a worker is free."""

    event: Literal["trial_resumed"] = "trial_resumed"
    number: int
    reason: str = ""
    to_the_end: bool = Field(False, description="True if it continues whatever its rank")


class TrialEnded(_Event):
    """A trial ended, or was interrupted and will continue with the next driver."""

    event: Literal["trial_ended"] = "trial_ended"
    number: int
    state: EndedState
    reason: str = ""
    request: str = Field("", description="id of the user's request to stop it")


class Recommended(_Event):
    """A confirmation chose an arm on permitted dev alone; test may be read only after this."""

    event: Literal["recommended"] = "recommended"
    recommendation: Recommendation


class TestOpened(_Event):
    """A confirmation is about to read test."""

    event: Literal["test_opened"] = "test_opened"
    before: tuple[str, ...] = Field(description="earlier readings of it, in words")


class Tested(_Event):
    """A trial of a confirmation was evaluated on test."""

    event: Literal["tested"] = "tested"
    number: int
    on_test: OnTest


class NodeJoined(_Event):
    """The cluster has a node: a new one, or one that a driver found when it started."""

    event: Literal["node_joined"] = "node_joined"
    node: str = Field(description="Ray's id")
    cpus: float = Field(ge=0, lt=MAX_RESOURCES)
    gpus: float = Field(ge=0, lt=MAX_RESOURCES)
    head: bool = Field(description="True for the cluster's head")


class NodeLeft(_Event):
    """A node left the cluster. No such event is written for nodes present when a driver ends."""

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
    | TrialPaused
    | TrialResumed
    | TrialEnded
    | Recommended
    | TestOpened
    | Tested
    | NodeJoined
    | NodeLeft
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
