"""The learning rate of each effective batch size, chosen on permitted dev with seeds of its own.

After Shallue et al. (arXiv 1811.03600, section 4): a best rate at the edge of its grid may not be
the best one, so what is measured at it is flagged and not concluded upon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from tuner.records import TrialRecord
from tuner.study.design import TuningDesign


@dataclass(frozen=True)
class Choice:
    """The learning rate of one effective batch size.

    Attributes:
        lr: the rate with the highest mean; of equal ones the lowest.
        at_edge: whether it is the lowest or the highest of its grid.
        means: mean objective over the tuning seeds by rate, of the rates with which all of them
            reached the full budget.
    """

    lr: float
    at_edge: bool
    means: Mapping[float, float]


def choices(tuning: TuningDesign, trials: Iterable[TrialRecord]) -> dict[int, Choice]:
    """The choice for every effective batch size for which there is one.

    A rate with which a seed failed, as one that diverged, is not eligible.

    Args:
        tuning: the grid, and the seeds.
        trials: of the study; those of another origin than `tuning` are not looked at.
    """
    scores: dict[int, dict[float, list[float]]] = {}
    for trial in trials:
        if trial.origin == "tuning" and trial.state == "completed" and trial.last:
            config = trial.config
            rates = scores.setdefault(config.batch.effective_size, {})
            rates.setdefault(config.optim.lr, []).append(trial.last.objective)
    chosen = {}
    for size, rates in sorted(scores.items()):
        means = {
            lr: fmean(rates[lr]) for lr in sorted(rates) if len(rates[lr]) == len(tuning.seeds)
        }
        if means:
            lr = max(means, key=lambda rate: means[rate])
            chosen[size] = Choice(lr, lr in (tuning.lr[0], tuning.lr[-1]), means)
    return chosen
