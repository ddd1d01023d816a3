"""ASHA, the stopping variant: it decides which trials continue at a rung.

The algorithm is that of Li et al. 2020, arXiv 1810.05934, with stopping in place of promotion as in
Klein et al. 2020, arXiv 2003.10865: a trial is never paused, so the decision is taken once, on
arrival. The code is pure Python, fed with (trial, rung, value). Feeding a fact again changes
nothing, so replaying a journal rebuilds the state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


class Asha:
    """The decisions at rungs.

    A trial continues at a rung while fewer than eta values are known there, its own included, and
    then only if its value is among the best floor(n / eta) of the n known ones (ties continue).

    Args:
        rungs: budgets in pairs, ascending; the last is the full budget, where nothing is decided.
        reduction_factor: eta, at least 2.
        protected: trials that are never stopped; their values count for the others.
    """

    def __init__(
        self, rungs: Sequence[int], reduction_factor: int, protected: frozenset[int] = frozenset()
    ) -> None:
        assert list(rungs) == sorted(set(rungs)), f"rungs must ascend, got {rungs}"
        assert reduction_factor >= 2, f"eta must be at least 2, got {reduction_factor}"
        self._eta = reduction_factor
        self._full = rungs[-1]
        self._protected = protected
        self._values: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        self._stopped: dict[tuple[int, int], bool] = {}

    def goes_on(self, trial: int, rung: int, value: float) -> bool:
        """Record a value (higher is better) and decide; a known fact gets the same answer again.

        Args:
            trial: the trial's number.
            rung: one of the rungs, in pairs.
            value: the objective at that rung; must be finite.
        """
        assert rung in self._values, f"{rung} is not a rung of {list(self._values)}"
        assert math.isfinite(value), f"trial {trial} reported {value}: a failure, not a value"
        if (trial, rung) not in self._stopped:
            known = self._values[rung]
            known[trial] = value
            self._stopped[trial, rung] = (
                rung != self._full
                and trial not in self._protected
                and len(known) >= self._eta
                and value < sorted(known.values(), reverse=True)[len(known) // self._eta - 1]
            )
        return not self._stopped[trial, rung]
