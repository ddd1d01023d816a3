"""The schedule of a study's trials: which wait, run or pause, and what happens to them at rungs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from tuner.journal.records import END_STATES, TrialRecord
from tuner.search.asha import Asha, Decision
from tuner.study import StudyConfig

BASELINE = 0
"""Number of the baseline trial, where a study has one."""


class Schedule:
    """The unfinished trials of a study, and ASHA's decisions about them.

    It changes nothing by itself: the driver asks, journals the answer, and then reports it here.
    Built from the trials in a journal, it is the schedule of the driver that wrote the journal.

    Args:
        study: the study's settings.
        trials: its trials so far.
    """

    def __init__(self, study: StudyConfig, trials: Iterable[TrialRecord]) -> None:
        scheduler = study.scheduler
        protected = {BASELINE} if study.baseline is not None else ()
        self._asha: Asha | None = None
        if scheduler.kind == "asha":
            self._asha = Asha(study.rungs, scheduler.reduction_factor, scheduler.variant, protected)
        self._waiting: deque[int] = deque()
        self._paused: set[int] = set()
        self._under_way: set[int] = set()  # given out, and not back in the queue
        for trial in trials:
            for each in trial.evaluations:
                self.arrived(trial.number, each.rung, each.objective)
            if trial.state == "paused":
                self._paused.add(trial.number)
            elif trial.state not in END_STATES:
                self._waiting.append(trial.number)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Trials that wait for a worker, in the order in which they get one."""
        return tuple(self._waiting)

    @property
    def is_idle(self) -> bool:
        """True if no trial runs or waits."""
        return not (self._under_way or self._waiting)

    def arrived(self, number: int, rung: int, objective: float) -> None:
        """Record a trial's value at a rung (in pairs); a known one changes nothing."""
        if self._asha is not None:
            self._asha.arrived(number, rung, objective)

    def decision(self, trial: TrialRecord) -> Decision:
        """Return what becomes of a trial at the rung that it has just reached."""
        assert trial.last is not None
        if trial.last.rung == trial.budget:
            return "stop"
        if self._asha is None or trial.to_the_end:
            return "continue"
        return self._asha.decision(trial.number)

    def falls(self, trial: TrialRecord, pairs_seen: int) -> bool:
        """Return whether a running trial should stop between two rungs."""
        if self._asha is None or trial.to_the_end:
            return False
        return self._asha.falls(trial.number, pairs_seen)

    def promotable(self) -> int | None:
        """Return the paused trial that should resume first, if any should."""
        return self._asha.promotable(self._paused) if self._asha is not None else None

    def take(self) -> int:
        """Give out the trial that has waited longest."""
        number = self._waiting.popleft()
        self._under_way.add(number)
        return number

    def queue(self, number: int) -> None:
        """Let a new or resumed trial wait behind the others."""
        self._paused.discard(number)
        self._waiting.append(number)

    def retry(self, number: int) -> None:
        """Let a trial whose attempt failed wait before all others."""
        self._under_way.discard(number)
        self._waiting.appendleft(number)

    def pause(self, number: int) -> None:
        """Record that a trial has paused."""
        self.end(number)
        self._paused.add(number)

    def end(self, number: int) -> None:
        """Record that a trial has ended."""
        self._under_way.discard(number)
        self._paused.discard(number)
        if number in self._waiting:
            self._waiting.remove(number)
