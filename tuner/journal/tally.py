"""The tally: what a study's trials amount to in all, kept up to date as they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tuner.journal.records import (
    END_STATES,
    STOPPED,
    Evaluation,
    Origin,
    TrialRecord,
    TrialState,
)


@dataclass
class AtRung:
    """The trials at one rung.

    Attributes:
        reached: trials with an evaluation there.
        stopped: those that stopped or paused there.
        best: the highest objective there.
    """

    reached: int = 0
    stopped: int = 0
    best: float = 0.0


@dataclass
class Tally:
    """Sums over all trials of a study. A change of one trial costs the same in a study of any size.

    Attributes:
        trials: number of trials.
        states: trials by state.
        ended: trials that have ended, by origin.
        by_hand: trials that a user added or stopped.
        pairs: pairs seen, by the state of the trial.
        repeated_pairs: pairs that were trained again after a loss.
        gpu_seconds: seconds times GPUs of all attempts that have ended.
        undisturbed: trials that completed or were stopped in their first attempt.
        undisturbed_seconds: the time from start to end of these.
        rungs: by rung that any trial reached, in pairs.
        best: the complete trial with the highest objective; of equals, the earliest.
        at_once: trials that ran when the last one started.
    """

    trials: int = 0
    states: Counter[TrialState] = field(default_factory=Counter)
    ended: Counter[Origin] = field(default_factory=Counter)
    by_hand: int = 0
    pairs: Counter[TrialState] = field(default_factory=Counter)
    repeated_pairs: int = 0
    gpu_seconds: float = 0.0
    undisturbed: int = 0
    undisturbed_seconds: float = 0.0
    rungs: dict[int, AtRung] = field(default_factory=dict)
    best: TrialRecord | None = None
    at_once: int = 0

    @classmethod
    def of(cls, trials: Iterable[TrialRecord]) -> Tally:
        """Return the tally of trials of which only the present state is known."""
        tally = cls()
        spans = []
        for trial in trials:
            tally.change(None, trial)
            if trial.started is not None:
                spans.append((trial.started, trial.ended))
        last = max((started for started, _ in spans), default=0.0)
        tally.at_once = sum(ended is None or ended >= last for _, ended in spans)
        return tally

    def copy(self) -> Tally:
        """Return a copy that changes on its own."""
        return replace(
            self,
            states=self.states.copy(),
            ended=self.ended.copy(),
            pairs=self.pairs.copy(),
            rungs={rung: replace(at) for rung, at in self.rungs.items()},
        )

    def change(self, before: TrialRecord | None, after: TrialRecord) -> None:
        """Take in that a trial has changed.

        Args:
            before: the trial as it was taken in last; None if it is new.
            after: the trial as it is now.
        """
        if before is None:
            self.trials += 1
        else:
            self._add(before, -1)
        self._add(after, 1)
        for evaluation in after.evaluations[len(before.evaluations) if before else 0 :]:
            self._reached(evaluation)
        if after.started is not None and (before is None or before.started is None):
            self.at_once = self.states["running"]
        if after.state == "completed" and after.last is not None and _better(after, self.best):
            self.best = after

    def _add(self, trial: TrialRecord, sign: int) -> None:
        """Add what a trial contributes in its present state, or take it away."""
        self.states[trial.state] += sign
        self.pairs[trial.state] += sign * trial.pairs_seen
        self.repeated_pairs += sign * trial.repeated_pairs
        self.gpu_seconds += sign * trial.gpu_seconds
        self.by_hand += sign * (trial.stopped_by_hand or trial.origin == "added")
        if trial.state in END_STATES:
            self.ended[trial.origin] += sign
        if (took := _undisturbed(trial)) is not None:
            self.undisturbed += sign
            self.undisturbed_seconds += sign * took
        if trial.state in STOPPED and trial.last is not None:
            self.rungs.setdefault(trial.last.rung, AtRung()).stopped += sign

    def _reached(self, evaluation: Evaluation) -> None:
        rung = self.rungs.setdefault(evaluation.rung, AtRung())
        rung.best = max(rung.best, evaluation.objective) if rung.reached else evaluation.objective
        rung.reached += 1


def _better(trial: TrialRecord, best: TrialRecord | None) -> bool:
    assert trial.last is not None
    if best is None:
        return True
    assert best.last is not None
    return (-trial.last.objective, trial.number) < (-best.last.objective, best.number)


def _undisturbed(trial: TrialRecord) -> float | None:
    """Return the seconds that a trial took if it ended in its first attempt, otherwise None."""
    if trial.state not in ("completed", "pruned") or trial.attempts != 1:
        return None
    assert trial.started is not None
    assert trial.ended is not None
    return trial.ended - trial.started
