"""The attempts at trials that are under way, folded from the journal's events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tuner.journal.events import TrialPlaced, TrialStarted
from tuner.journal.records import Attempt, FailureKind, TrialRecord, TrialState

AttemptOutcome = TrialState | FailureKind


@dataclass
class Attempts:
    """The attempts under way, by trial number.

    Attributes:
        running: the event that started each.
        placed: those that reached a first step.
        waiting: the time since which a trial has waited to run, across drivers (Unix, seconds).
    """

    running: dict[int, TrialStarted] = field(default_factory=dict)
    placed: dict[int, Attempt] = field(default_factory=dict)
    waiting: dict[int, float] = field(default_factory=dict)

    def waits(self, number: int, time: float) -> None:
        """Record that a trial waits to run since a time."""
        self.waiting[number] = time

    def started(self, event: TrialStarted) -> None:
        """Record that an attempt started."""
        self.running[event.number] = event

    def reached_nodes(self, event: TrialPlaced) -> None:
        """Record the nodes on which an attempt is about to do its first step."""
        attempt = self.running.get(event.number)
        if attempt is not None:
            self.placed[event.number] = Attempt(
                nodes=event.nodes,
                gpus=attempt.gpus,
                cpus=attempt.cpus,
                waiting=self.waiting[event.number],
                placed=event.time,
                ended=event.time,
            )

    def ended(self, trial: TrialRecord, time: float, outcome: AttemptOutcome) -> TrialRecord:
        """Record that a trial's attempt, if any, ended; return the trial with its time."""
        worked = self.worked(trial, time, outcome)
        self.running.pop(trial.number, None)
        self.placed.pop(trial.number, None)
        return worked

    def worked(
        self, trial: TrialRecord, until: float, outcome: AttemptOutcome = "running"
    ) -> TrialRecord:
        """Return a trial including the time that its attempt, if any, has taken by a time."""
        attempt = self.running.get(trial.number)
        if attempt is None:
            return trial
        seconds = until - attempt.time
        worked: dict[str, Any] = {
            "seconds": trial.seconds + seconds,
            "gpu_seconds": trial.gpu_seconds + seconds * attempt.gpus,
        }
        if placed := self.placed.get(trial.number):
            ended = placed.model_copy(update={"ended": until, "outcome": outcome})
            worked["placed"] = (*trial.placed, ended)
        return trial.model_copy(update=worked)
