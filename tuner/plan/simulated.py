"""The outcome of a simulated study."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SimulatedStudy:
    """The outcome of one simulated study.

    Attributes:
        reached: number of trials evaluated at each rung, in the rungs' order.
        sizes: effective batch sizes of its trials.
        pairs: pairs trained on by all trials together.
        seconds: seconds from the study's start to the last trial's end.
        busy: total seconds of all trials.
        ended: seconds from the study's start to the end of the last trial in each place.
    """

    reached: tuple[float, ...]
    sizes: frozenset[int]
    pairs: float
    seconds: float
    busy: float
    ended: tuple[float, ...]

    def extended(self, factor: float, startup: float) -> SimulatedStudy:
        """Return the outcome of a study with `factor` times as many trials like these."""
        return SimulatedStudy(
            reached=tuple(factor * trials for trials in self.reached),
            sizes=self.sizes,
            pairs=factor * self.pairs,
            seconds=startup + factor * (self.seconds - startup),
            busy=factor * self.busy,
            ended=tuple(startup + factor * (end - startup) for end in self.ended),
        )
