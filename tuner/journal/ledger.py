"""A study's spending by outcome of the work, and the rest of its budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from tuner.journal.records import AT_REST, StudyRecord, TrialRecord
from tuner.journal.tally import Tally
from tuner.study import StudyConfig
from tuner.study.durations import seconds_of
from tuner.study.trial import TrialConfig


@dataclass(frozen=True)
class Ledger:
    """The work done so far. The six kinds of pairs add up to all pairs trained.

    Attributes:
        useful: pairs of trials that reached the full budget.
        under_way: pairs of trials that are running or will continue.
        pruned: pairs of trials that ASHA stopped.
        paused: pairs of trials that ASHA paused.
        failed: pairs of trials that failed.
        repeated: pairs lost with a worker or a driver and trained again.
        gpu_hours: hours of GPUs held by trials.
        seconds: seconds for which drivers worked.
    """

    useful: int
    under_way: int
    pruned: int
    paused: int
    failed: int
    repeated: int
    gpu_hours: float
    seconds: float

    @classmethod
    def of(cls, study: StudyRecord) -> Ledger:
        """Return the ledger of a study's record."""
        return cls.from_tally(Tally.of(study.trials), study.seconds)

    @classmethod
    def from_tally(cls, tally: Tally, seconds: float) -> Ledger:
        """Return the ledger of a study of which the sums over its trials are known."""
        apart = {state: tally.pairs[state] for state in AT_REST}
        return cls(
            useful=apart["completed"],
            under_way=sum(tally.pairs.values()) - sum(apart.values()),
            pruned=apart["pruned"],
            paused=apart["paused"],
            failed=apart["failed"],
            repeated=tally.repeated_pairs,
            gpu_hours=tally.gpu_seconds / 3600,
            seconds=seconds,
        )

    @property
    def pairs(self) -> int:
        """All pairs that were trained."""
        stopped = self.pruned + self.paused + self.failed
        return self.useful + self.under_way + stopped + self.repeated


@dataclass(frozen=True)
class Limits:
    """The limits of a search: its budget without the share that is kept for `confirm`.

    Attributes:
        total_pairs, gpu_hours, seconds: the limits; infinite if the budget sets none.
        largest_trial: the most pairs that a trial trains: its last step may exceed its budget.
    """

    total_pairs: float
    gpu_hours: float
    seconds: float
    largest_trial: int

    @classmethod
    def of(cls, study: StudyConfig) -> Limits:
        """Return the limits that a study's settings give."""
        budget = study.budget
        share = 1 - budget.confirm_share
        return cls(
            total_pairs=inf if budget.total_pairs is None else budget.total_pairs * share,
            gpu_hours=inf if budget.gpu_hours is None else budget.gpu_hours * share,
            seconds=inf if budget.wall is None else seconds_of(budget.wall) * share,
            largest_trial=max(
                _whole(config, study.rungs_of(config)[-1]) for config in study.corner_configs()
            ),
        )

    @property
    def given(self) -> bool:
        """True if the budget sets a limit."""
        return min(self.total_pairs, self.gpu_hours, self.seconds) < inf

    def spent(self, ledger: Ledger) -> str:
        """Return which limit is reached, in words; empty if none is."""
        if ledger.pairs >= self.total_pairs:
            return f"budget.total_pairs is spent: {ledger.pairs:,} pairs were trained"
        if ledger.gpu_hours >= self.gpu_hours:
            return f"budget.gpu_hours is spent: {ledger.gpu_hours:.2f} GPU-hours"
        if ledger.seconds >= self.seconds:
            return f"budget.wall is spent: {ledger.seconds:,.0f} s"
        return ""

    def room(self, ledger: Ledger, under_way: Iterable[TrialRecord]) -> bool:
        """Return whether one more trial can reach its full budget if those under way do."""
        if self.total_pairs == inf:
            return True
        promised = sum(_whole(trial.config, trial.budget) - trial.pairs_seen for trial in under_way)
        return ledger.pairs + promised + self.largest_trial <= self.total_pairs


def _whole(config: TrialConfig, full: int) -> int:
    """Return the pairs of a trial that reaches its full budget: whole steps of B pairs."""
    size = config.batch.effective_size
    return -(-full // size) * size
