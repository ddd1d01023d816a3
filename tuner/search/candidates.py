"""The candidates for a confirmation: the trials that a search completes before it ends.

ASHA may leave few complete trials, or none of a kind that the answer needs. So before a search
ends, its best trials continue to the full budget, whatever their rank, until enough have completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from tuner.journal.records import STOPPED, TrialRecord
from tuner.study.design import CANDIDATES
from tuner.study.trial import TrialConfig

CONTROLS: tuple[Callable[[TrialConfig], bool], ...] = (
    lambda config: config.mix.cross_lingual == 0,
    lambda config: not config.fusion.fuses,
)
"""The kinds of trial that the best ones are compared with: no cross-lingual batches, no fusion."""
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
    def settings(self) -> str:
        """Its settings without the seed, equal for replicates."""
        return repr(sorted((n, v) for n, v in self.config.flat().items() if n != "seed"))


def to_complete(trials: Iterable[TrialRecord]) -> list[int]:
    """Return the trials at rest that are to continue before a search ends, the best first."""
    return lacking(Standing.of(trial) for trial in trials if trial.origin != "baseline")


def lacking(standings: Iterable[Standing]) -> list[int]:
    """Return the resting trials that are to continue, the best first.

    As many configurations are to complete as a confirmation takes, and one of each kind of control.
    The best trials are those at the highest rung, and there those with the highest value.

    Args:
        standings: the trials of a search without its baseline.
    """
    ranked = sorted(standings, key=lambda each: (-each.rung, -each.value, each.number))
    complete = {each.number for each in ranked if each.course == "complete"}
    possible = [each for each in ranked if each.course != "other"]
    chosen: set[int] = set()
    for is_of_kind, enough in ((_any, CANDIDATES), *((kind, 1) for kind in CONTROLS)):
        known: set[str] = set()
        for each in sorted(possible, key=lambda each: each.number not in complete | chosen):
            if len(known) == enough:
                break
            if is_of_kind(each.config) and each.settings not in known:
                known.add(each.settings)
                chosen.add(each.number)
    return [each.number for each in possible if each.number in chosen - complete]


def all_coming(trials: Iterable[TrialRecord]) -> bool:
    """Return whether every unfinished trial is on its way to the full budget."""
    return all(trial.to_the_end for trial in trials if trial.state in _UNFINISHED)


def _any(config: TrialConfig) -> bool:
    return True
