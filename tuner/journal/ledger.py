"""A study's spending by outcome of the work, and the rest of its budget."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from tuner.journal.records import AT_REST, StudyRecord
from tuner.study import StudyConfig
from tuner.study.durations import seconds_of
from tuner.study.trial import TrialConfig


@dataclass(frozen=True)
class Ledger:
    """The work done so far. The five kinds of pairs add up to all pairs trained.

    Attributes:
        useful: pairs of trials that reached the full budget.
        under_way: pairs of trials that are running or will continue.
        pruned: pairs of trials that ASHA stopped.
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
        """Return the current ledger of a study."""
        pairs = dict.fromkeys(("completed", "pruned", "paused", "failed", "under_way"), 0)
        for trial in study.trials:
            pairs[trial.state if trial.state in pairs else "under_way"] += trial.pairs_seen
        return cls(
            useful=pairs["completed"],
            under_way=pairs["under_way"],
            pruned=pairs["pruned"],
            paused=pairs["paused"],
            failed=pairs["failed"],
            repeated=sum(trial.repeated_pairs for trial in study.trials),
            gpu_hours=sum(trial.gpu_seconds for trial in study.trials) / 3600,
            seconds=study.seconds,
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

    def spent(self, study: StudyRecord) -> str:
        """Return which limit is reached, in words; empty if none is."""
        ledger = Ledger.of(study)
        if ledger.pairs >= self.total_pairs:
            return f"budget.total_pairs is spent: {ledger.pairs:,} pairs were trained"
        if ledger.gpu_hours >= self.gpu_hours:
            return f"budget.gpu_hours is spent: {ledger.gpu_hours:.2f} GPU-hours"
        if ledger.seconds >= self.seconds:
            return f"budget.wall is spent: {ledger.seconds:,.0f} s"
        return ""

    def room(self, study: StudyRecord) -> bool:
        """Return whether one more trial can reach its full budget if all unfinished ones do."""
        if self.total_pairs == inf:
            return True
        promised = sum(
            _whole(trial.config, trial.budget) - trial.pairs_seen
            for trial in study.trials
            if trial.state not in AT_REST
        )
        return Ledger.of(study).pairs + promised + self.largest_trial <= self.total_pairs


def _whole(config: TrialConfig, full: int) -> int:
    """Return the pairs of a trial that reaches its full budget: whole steps of B pairs."""
    size = config.batch.effective_size
    return -(-full // size) * size
