"""The clock of a journal: its times never decrease, whatever the clocks of its drivers did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class JournalClock:
    """Corrects the times of events, in the order of the journal. Times are Unix times in seconds.

    If a clock was set back, or another driver's clock is behind, time continues from the previous
    event: no duration is negative, and durations after such a step are right.

    Attributes:
        latest: the time of the last event.
        behind: seconds that the current driver's clock is behind it.
    """

    latest: float = 0.0
    behind: float = 0.0

    def restart(self) -> None:
        """Expect the clock of a new driver."""
        self.behind = 0.0

    def corrected(self, time: float) -> float:
        """Return the time of the next event."""
        self.behind = max(self.behind, self.latest - time)
        return max(self.latest, time + self.behind) if self.behind else time

    def shown(self, time: float) -> float:
        """Return a time of the current driver that is no event's, not before the last event."""
        return max(self.latest, time + self.behind)
