"""Observations: a sampler's view of trials, and the rung at which it compares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from itertools import islice
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


def ranked(
    observations: Sequence[Observation], rung: int, most: int | None = None
) -> list[tuple[Observation, float]]:
    """Return the trials with known values, the best first, with numbers that order them.

    Trials that reached `rung` have their value there. Trials that rest below it come after them,
    ordered by the rung that they reached and then by their value at it; diverged ones are last.
    Trials that are open below `rung` are left out, as are those about which nothing is known.

    Args:
        observations: the trials, by number.
        rung: the rung in pairs.
        most: at most so many are returned: half of them the best, the others the latest of the
            rest. Default: all.
    """
    place = partial(_place, rung)
    known = [each for each in observations if _is_known(each, rung)]
    if most is not None and len(known) > most:
        best = {each.number for each in nsmallest(most // 2, known, key=place)}
        rest = (each for each in reversed(known) if each.number not in best)
        latest = {each.number for each in islice(rest, most - most // 2)}
        known = [each for each in known if each.number in best | latest]
    order: list[tuple[Observation, float]] = []
    value = 0.0
    for each in sorted(known, key=place):
        reached = rung in each.values and each.fate in COMPARED
        diverged = each.fate == "diverged" and order and order[-1][0].fate == "diverged"
        value = each.values[rung] if reached else value if diverged else value - 1
        order.append((each, value))
    return order


def _is_known(observation: Observation, rung: int) -> bool:
    """Return whether a trial has a place in the order at a rung."""
    match observation.fate:
        case "open":
            return rung in observation.values
        case "unknown":
            return False
        case "resting" | "diverged":
            return True


def _place(rung: int, observation: Observation) -> tuple[float, ...]:
    """Return a key that orders the known trials at a rung, the best first."""
    if observation.fate == "diverged":
        return 2, observation.number
    if rung in observation.values:
        return 0, -observation.values[rung], observation.number
    reached, value = observation.standing
    return 1, -reached, -value, observation.number
