"""Observations: a sampler's view of trials, and the rung at which it compares them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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


Place = tuple[float, ...]
"""A key that orders trials at a rung, the best first; its last part is the trial's number."""


class Observations:
    """The known trials of a study, in the order of their numbers.

    It is kept up to date trial by trial, so a proposal costs as much after 10,000 trials as after
    1,000.
    """

    def __init__(self, known: Iterable[Observation] = ()) -> None:
        self._known: dict[int, Observation] = {}
        self._numbers: list[int] = []
        self._open: set[int] = set()
        self._reached: Counter[int] = Counter()  # trials that can be compared, by rung
        self._rung: int | None = None  # the rung at which `_places` are
        self._places: list[Place] = []
        for each in known:
            self.put(each)

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Observation]:
        return (self._known[number] for number in self._numbers)

    def put(self, observation: Observation) -> None:
        """Take in a trial, in place of what was known about it before."""
        number = observation.number
        last = self._known.get(number)
        if last is None:
            insort(self._numbers, number)
        else:
            self._count(last, -1)
            if self._rung is not None and _is_known(last, self._rung):
                del self._places[bisect_left(self._places, _place(last, self._rung))]
        self._known[number] = observation
        self._count(observation, 1)
        (self._open.add if observation.fate == "open" else self._open.discard)(number)
        if self._rung is not None and _is_known(observation, self._rung):
            insort(self._places, _place(observation, self._rung))

    def highest_rung(self, least: int) -> int | None:
        """Return the highest rung at which at least `least` trials can be compared, in pairs.

        None if there is none.
        """
        return max(
            (rung for rung, trials in self._reached.items() if trials >= least), default=None
        )

    def ranked(
        self, rung: int, most: int | None = None, *, only_there: bool = False
    ) -> list[tuple[Observation, float]]:
        """Return the trials with known values, the best first, with numbers that order them.

        Trials that reached `rung` have their value there. Trials that rest below it come after
        them, ordered by the rung that they reached and then by their value at it; diverged ones are
        last. Trials that are open below `rung` are left out, as are those about which nothing is
        known.

        Args:
            rung: the rung in pairs.
            most: at most so many are returned: half of them the best, the others the latest of the
                rest. Default: all.
            only_there: True for the trials that reached `rung` alone.
        """
        places = self._places_at(rung)
        if only_there:
            places = places[: bisect_left(places, (1,))]
        if most is not None and len(places) > most:
            places = self._best_and_latest(places, most)
        order: list[tuple[Observation, float]] = []
        value = 0.0
        for place in places:
            each = self._known[int(place[-1])]
            reached = rung in each.values and each.fate in COMPARED
            diverged = each.fate == "diverged" and order and order[-1][0].fate == "diverged"
            value = each.values[rung] if reached else value if diverged else value - 1
            order.append((each, value))
        return order

    def below(self, rung: int) -> list[Observation]:
        """Return the trials that are open and have not reached a rung."""
        known = (self._known[number] for number in sorted(self._open))
        return [each for each in known if rung not in each.values]

    def _count(self, observation: Observation, by: int) -> None:
        if observation.fate in COMPARED:
            for rung in observation.values:
                self._reached[rung] += by

    def _places_at(self, rung: int) -> list[Place]:
        if rung != self._rung:
            self._rung = rung
            self._places = sorted(_place(each, rung) for each in self if _is_known(each, rung))
        return self._places

    def _best_and_latest(self, places: list[Place], most: int) -> list[Place]:
        best = places[: most // 2]
        bar, last = best[-1] if best else (), places[-1]
        rest = (place for place in self._latest() if bar < place <= last)
        return sorted([*best, *islice(rest, most - most // 2)])

    def _latest(self) -> Iterator[Place]:
        """Yield the places at the present rung, those of the latest trials first."""
        assert self._rung is not None
        for number in reversed(self._numbers):
            if _is_known(self._known[number], self._rung):
                yield _place(self._known[number], self._rung)


def _is_known(observation: Observation, rung: int) -> bool:
    """Return whether a trial has a place in the order at a rung."""
    match observation.fate:
        case "open":
            return rung in observation.values
        case "unknown":
            return False
        case "resting" | "diverged":
            return True


def _place(observation: Observation, rung: int) -> Place:
    """Return the place of a known trial in the order at a rung."""
    if observation.fate == "diverged":
        return 2, observation.number
    if rung in observation.values:
        return 0, -observation.values[rung], observation.number
    reached, value = observation.standing
    return 1, -reached, -value, observation.number
