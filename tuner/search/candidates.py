"""The candidates for a confirmation: the trials that a search completes before it ends.

ASHA may leave few complete trials, or none of a kind that the answer needs. So before a search
ends, its best trials continue to the full budget, whatever their rank, until enough have completed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal

from tuner.journal.records import STOPPED, TrialRecord
from tuner.study.design import CANDIDATES, CONTROLS
from tuner.study.trial import TrialConfig

_UNFINISHED = ("pending", "running", "interrupted")


@dataclass(frozen=True)
class Standing:
    """A trial as a possible candidate.

    Attributes:
        number: the trial's number.
        config: its settings.
        course: it has completed or will; it rests, and could continue; or neither.
        rung: the last rung that it reached, in pairs; 0 before the first.
        value: its objective there.
    """

    number: int
    config: TrialConfig
    course: Literal["complete", "rests", "other"]
    rung: int
    value: float

    @classmethod
    def of(cls, trial: TrialRecord) -> Standing:
        """Return the standing of a trial. One that a user stopped does not continue."""
        course: Literal["complete", "rests", "other"] = "other"
        if trial.state == "completed" or (trial.to_the_end and trial.state in _UNFINISHED):
            course = "complete"
        elif trial.state in STOPPED and trial.last is not None and not trial.stopped_by_hand:
            course = "rests"
        rung, value = (trial.last.rung, trial.last.objective) if trial.last else (0, 0.0)
        return cls(trial.number, trial.config, course, rung, value)

    @property
    def rank(self) -> tuple[int, float, int]:
        """Its place in the order: the lowest is the best."""
        return -self.rung, -self.value, self.number

    @property
    def settings(self) -> str:
        """Its settings without the seed, equal for replicates."""
        return repr(sorted((n, v) for n, v in self.config.flat().items() if n != "seed"))


class Candidates:
    """The standings of a search's trials, in order.

    Only trials that have changed are looked at again, so a long search may ask after each of them.
    """

    def __init__(self) -> None:
        self._seen: dict[int, TrialRecord] = {}
        self._standings: dict[int, Standing] = {}
        self._ranked: dict[str, list[tuple[int, float, int]]] = {"complete": [], "rests": []}

    def to_complete(self, trials: Iterable[TrialRecord]) -> list[int]:
        """Return the trials at rest that are to continue before a search ends, the best first."""
        for trial in trials:
            if self._seen.get(trial.number) is not trial and trial.origin != "baseline":
                self._seen[trial.number] = trial
                self.place(Standing.of(trial))
        return self.lacking()

    def place(self, standing: Standing) -> None:
        """Take in the standing of a trial, or a new one in place of its last."""
        last = self._standings.get(standing.number)
        if last is not None and last.course in self._ranked:
            ranked = self._ranked[last.course]
            del ranked[bisect_left(ranked, last.rank)]
        self._standings[standing.number] = standing
        if standing.course in self._ranked:
            insort(self._ranked[standing.course], standing.rank)

    def lacking(self) -> list[int]:
        """Return the resting trials that are to continue, the best first.

        As many configurations are to complete as a confirmation takes, and one of each kind of
        control. The best trials are those at the highest rung, and there those with the highest
        value.
        """
        chosen: list[Standing] = []
        kinds: list[Callable[[TrialConfig], bool]] = [
            partial(_is, *control) for control in CONTROLS
        ]
        for is_of_kind, enough in ((_any, CANDIDATES), *((kind, 1) for kind in kinds)):
            known: set[str] = set()
            for each in chain(self._by_rank("complete"), tuple(chosen), self._by_rank("rests")):
                if len(known) == enough:
                    break
                if is_of_kind(each.config) and each.settings not in known:
                    known.add(each.settings)
                    if each.course == "rests" and each not in chosen:
                        chosen.append(each)
        return [each.number for each in sorted(chosen, key=lambda each: each.rank)]

    def _by_rank(self, course: str) -> Iterator[Standing]:
        return (self._standings[number] for _, _, number in self._ranked[course])


def to_complete(trials: Iterable[TrialRecord]) -> list[int]:
    """Return the trials at rest that are to continue before a search ends, the best first."""
    return Candidates().to_complete(trials)


def lacking(standings: Iterable[Standing]) -> list[int]:
    """Return the resting trials that are to continue, the best first.

    Args:
        standings: the trials of a search without its baseline.
    """
    candidates = Candidates()
    for standing in standings:
        candidates.place(standing)
    return candidates.lacking()


def _is(setting: str, value: float | str, config: TrialConfig) -> bool:
    return bool(config.value(setting) == value)


def _any(config: TrialConfig) -> bool:
    return True
