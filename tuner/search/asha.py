"""ASHA: it decides at rungs which trials continue, pause or stop, and which paused ones resume.

The algorithm is that of Li et al. 2020, arXiv 1810.05934 (promotion), and its stopping variant that
of Klein et al. 2020, arXiv 2003.10865. Two differences: a running trial is held to the bar of its
last rung again whenever that bar rises, and equal values continue in the stopping variant. The code
is pure Python and holds nothing but facts: the values at rungs, in whatever order they arrived.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Collection, Sequence, Set
from itertools import islice
from typing import Literal

Decision = Literal["continue", "pause", "stop"]
Variant = Literal["stopping", "promotion"]
NEAR = 0.75
"""The share of the way to its next rung from which a trial is no longer stopped before it."""


class Asha:
    """The decisions at rungs.

    Of n values known at a rung, the best floor(n / eta) pass. With `stopping`, a trial that does
    not pass stops for good, and the best passes while fewer than eta values are known: it would
    otherwise have to wait. With `promotion`, it pauses, and resumes once it does pass.

    Args:
        rungs: budgets in pairs, ascending; the last is the full budget, where nothing is decided.
        reduction_factor: eta, at least 2.
        variant: what happens to a trial that does not pass.
        protected: trials that always continue; their values count for the others.
    """

    def __init__(
        self,
        rungs: Sequence[int],
        reduction_factor: int,
        variant: Variant = "stopping",
        protected: Collection[int] = (),
    ) -> None:
        assert list(rungs) == sorted(set(rungs)), f"rungs must ascend, got {rungs}"
        assert reduction_factor >= 2, f"eta must be at least 2, got {reduction_factor}"
        self._rungs = tuple(rungs)
        self._eta = reduction_factor
        self._variant = variant
        self._protected = frozenset(protected)
        self._ranking: dict[int, list[tuple[float, int]]] = {rung: [] for rung in rungs}
        self._last: dict[int, tuple[int, float]] = {}  # by trial: its last rung, and its value

    def arrived(self, trial: int, rung: int, value: float) -> None:
        """Record the value of a trial at a rung; a known fact changes nothing.

        Args:
            trial: the trial's number.
            rung: one of the rungs, in pairs, higher than the trial's earlier ones.
            value: the objective at that rung, higher is better; must be finite.
        """
        assert rung in self._ranking, f"{rung} is not a rung of {self._rungs}"
        assert math.isfinite(value), f"trial {trial} reported {value}: a failure, not a value"
        if rung > self._last.get(trial, (0, value))[0]:
            self._last[trial] = rung, value
            insort(self._ranking[rung], (-value, trial))

    def decision(self, trial: int) -> Decision:
        """Return what becomes of a trial at its last rung, by the values known now."""
        rung, value = self._last[trial]
        if rung == self._rungs[-1]:
            return "stop"
        if trial in self._protected:
            return "continue"
        if self._variant == "promotion":
            return "continue" if self._passes(trial) else "pause"
        return "continue" if value >= self.bar(rung) else "stop"

    def bar(self, rung: int) -> float:
        """Return the value that a trial needs at a rung; -inf while none is known."""
        ranking = self._ranking[rung]
        passing = max(1, len(ranking) // self._eta)
        return -ranking[passing - 1][0] if ranking else -math.inf

    def falls(self, trial: int, pairs_seen: int) -> bool:
        """Return whether a running trial should stop, since its last rung's bar has risen above it.

        A trial that is near its next rung is let there: it costs little, and one low value is not
        final then. No trial falls with `promotion`, where it took the place of a paused one.
        """
        if self._variant == "promotion" or trial not in self._last:
            return False
        if self.decision(trial) == "continue":
            return False
        rung = self._last[trial][0]
        following = self._rungs[self._rungs.index(rung) + 1 :]
        return bool(following) and pairs_seen - rung < NEAR * (following[0] - rung)

    def promotable(self, paused: Set[int]) -> int | None:
        """Return the paused trial to resume: the best that passes at the highest rung; or None."""
        for rung in reversed(self._rungs[:-1]):
            ranking = self._ranking[rung]
            for _, trial in islice(ranking, len(ranking) // self._eta):
                if trial in paused and self._last[trial][0] == rung:
                    return trial
        return None

    def _passes(self, trial: int) -> bool:
        """Return whether a trial is among the best floor(n / eta) at its last rung.

        Of equal values the earlier trial's comes first.
        """
        rung, value = self._last[trial]
        return bisect_left(self._ranking[rung], (-value, trial)) < (
            len(self._ranking[rung]) // self._eta
        )
