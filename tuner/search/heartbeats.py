"""The progress of running trials between two facts in the journal."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tuner.journal.events import Progressed
from tuner.journal.records import TrialRecord
from tuner.timing import now

PROGRESS_SECONDS = 10.0
"""Time between two journal entries of running trials' progress, for the ledger if a driver dies."""


class Heartbeats:
    """The pairs that running trials have seen, newer than in the journal."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._written = time.monotonic()

    def note(self, number: int, pairs_seen: int) -> None:
        """Record the pairs that a trial has seen."""
        self._seen[number] = pairs_seen

    def latest(self, trial: TrialRecord) -> int:
        """Return the most pairs that a trial is known to have seen."""
        return max(trial.pairs_seen, self._seen.get(trial.number, 0))

    def forget(self, number: int) -> None:
        """Drop a trial that no longer runs."""
        self._seen.pop(number, None)

    @property
    def due(self) -> bool:
        """True if progress was not written for a while."""
        return time.monotonic() - self._written > PROGRESS_SECONDS

    def unwritten(self, trials: Mapping[int, TrialRecord]) -> Progressed | None:
        """Return the event to write now; None if the journal knows it all."""
        self._written = time.monotonic()
        running = {n: at for n, at in dict(self._seen).items() if trials[n].state == "running"}
        if any(at > trials[number].pairs_seen for number, at in running.items()):
            return Progressed(time=now(), pairs_seen=running)
        return None
