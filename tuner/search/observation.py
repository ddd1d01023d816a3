"""An observation: a sampler's view of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tuner.journal.records import TrialRecord

Fate = Literal["open", "resting", "diverged", "unknown"]
"""The standing of a trial: it may get more values soon; it got its last one, perhaps for now
(completed, stopped or paused); it cannot be trained (its loss diverged, or it does not fit in
memory); it was lost for a reason that says nothing about its settings."""

COMPARED: tuple[Fate, ...] = ("open", "resting")
"""The trials whose values say something about their settings."""


@dataclass(frozen=True)
class Observation:
    """A trial as a sampler sees it.

    Attributes:
        number: the trial's number.
        params: its settings by dotted name, a point of the space.
        values: the objective at each rung that it has reached; rungs are in pairs.
        fate: how it stands.
    """

    number: int
    params: Mapping[str, Any]
    values: Mapping[int, float]
    fate: Fate

    @classmethod
    def of(cls, trial: TrialRecord, params: Mapping[str, Any]) -> Observation:
        """Return what a sampler knows about a trial that lies at `params` in the space."""
        values = {each.rung: each.objective for each in trial.evaluations}
        return cls(trial.number, params, values, _fate(trial, bool(values)))

    @property
    def standing(self) -> tuple[int, float]:
        """The highest rung that it has reached, and its value there."""
        rung = max(self.values)
        return rung, self.values[rung]


def _fate(trial: TrialRecord, has_values: bool) -> Fate:
    match trial.state:
        case "pending" | "running" | "interrupted":
            return "open"
        case "paused" | "completed" | "pruned":
            return "resting" if has_values else "unknown"
        case "failed":
            kinds = {failure.kind for failure in trial.failures[-1:]}
            return "diverged" if kinds & {"non_finite", "infeasible"} else "unknown"
