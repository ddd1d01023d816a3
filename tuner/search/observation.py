"""Observations: a sampler's view of trials, and the rung at which it compares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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


def modelled_rung(observations: Sequence[Observation], least: int) -> int | None:
    """Return the highest rung at which at least `least` trials can be compared; None if none."""
    compared = (each for each in observations if each.fate in COMPARED)
    reached = Counter(rung for each in compared for rung in each.values)
    return max((rung for rung, trials in reached.items() if trials >= least), default=None)


def at_rung(observations: Sequence[Observation], rung: int) -> list[Observation]:
    """Return the trials that can be compared at a rung, the best first."""
    there = [each for each in observations if each.fate in COMPARED and rung in each.values]
    return sorted(there, key=lambda each: (-each.values[rung], each.number))


def ranked(observations: Sequence[Observation], rung: int) -> list[tuple[Observation, float]]:
    """Return the trials with known values, the best first, with numbers that order them.

    Trials that reached `rung` have their value there. Trials that rest below it come after them,
    ordered by the rung that they reached and then by their value at it; diverged ones are last.
    Trials that are open below `rung` are left out, as are those about which nothing is known.
    """
    there = at_rung(observations, rung)
    below = [each for each in observations if each.fate == "resting" and rung not in each.values]
    diverged = [each for each in observations if each.fate == "diverged"]
    below.sort(key=lambda each: (*(-part for part in each.standing), each.number))
    floor = there[-1].values[rung] if there else 0.0
    known = [(each, each.values[rung]) for each in there]
    known += [(each, floor - place) for place, each in enumerate(below, 1)]
    return known + [(each, floor - len(below) - 1) for each in diverged]
