"""The learning rate of each effective batch size, chosen on permitted dev with seeds of its own.

This follows Shallue et al. (arXiv 1811.03600, section 4): if the best rate is at the edge of its
grid, a better one may lie beyond, so results measured at it are flagged and support no conclusion.
A rate that diverged counts as a known rate beyond the edge. A rate that failed for another reason
counts as if it were not in the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from tuner.journal.records import TrialRecord
from tuner.study.design import TuningDesign


@dataclass(frozen=True)
class TunedRate:
    """The learning rate of one effective batch size.

    Attributes:
        lr: the rate with the highest mean; the lowest of equal ones.
        means: mean objective over the tuning seeds by rate, for the rates with which all seeds
            reached the full budget.
        diverged: rates that are not eligible, since a seed's loss or gradient was not finite.
        failed: rates that are not eligible, since a seed's trial failed for another reason.
    """

    lr: float
    means: Mapping[float, float]
    diverged: tuple[float, ...] = ()
    failed: tuple[float, ...] = ()

    @property
    def edges(self) -> tuple[str, ...]:
        """The edges of the known rates at which `lr` lies: `lowest`, `highest`, both or neither."""
        known = [*self.means, *self.diverged]
        ends = {"lowest": min(known), "highest": max(known)}
        return tuple(edge for edge, lr in ends.items() if lr == self.lr)

    @property
    def at_edge(self) -> bool:
        """True if `lr` is at an edge, so a better rate may lie beyond it."""
        return bool(self.edges)

    @property
    def hidden(self) -> bool:
        """True if rates beyond an edge were tried and failed, so nothing is known about them."""
        return any(self._beyond(edge) for edge in self.edges)

    @property
    def outside(self) -> bool:
        """True if the grid ends at one of the edges."""
        return not all(self._beyond(edge) for edge in self.edges)

    @property
    def end(self) -> str:
        """The edge, in words."""
        if len(self.edges) > 1:
            return "only one that did not fail"
        return f"{self.edges[0]} {'that did not fail' if self.hidden else 'of the grid'}"

    def _beyond(self, edge: str) -> bool:
        return any(lr < self.lr if edge == "lowest" else lr > self.lr for lr in self.failed)


def choices(tuning: TuningDesign, trials: Iterable[TrialRecord]) -> dict[int, TunedRate]:
    """Choose a rate for every effective batch size for which one is eligible.

    A rate with which a seed failed or diverged is not eligible.

    Args:
        tuning: the grid and the seeds.
        trials: the study's trials; those of another origin than `tuning` are ignored.
    """
    found: dict[int, dict[float, list[TrialRecord]]] = {}
    for trial in trials:
        if trial.origin == "tuning":
            rates = found.setdefault(trial.config.batch.effective_size, {})
            rates.setdefault(trial.config.optim.lr, []).append(trial)
    chosen = {}
    for size, rates in sorted(found.items()):
        means: dict[float, float] = {}
        diverged, failed = [], []
        for lr, own in sorted(rates.items()):
            scores = [t.last.objective for t in own if t.state == "completed" and t.last]
            if len(scores) == len(tuning.seeds):
                means[lr] = fmean(scores)
            elif all(_diverged(trial) for trial in own if trial.state != "completed"):
                diverged.append(lr)
            else:
                failed.append(lr)
        if means:
            lr = max(means, key=lambda rate: means[rate])
            chosen[size] = TunedRate(lr, means, tuple(diverged), tuple(failed))
    return chosen


def _diverged(trial: TrialRecord) -> bool:
    return bool(trial.failures) and trial.failures[-1].kind == "non_finite"
