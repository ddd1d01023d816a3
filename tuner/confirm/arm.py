"""Arms: the results of each configuration of a confirmation, and comparisons between them.

All scores are accuracies, shares from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, median
from typing import Any

from tuner.statistics.comparisons import FromBest, holm, with_the_best
from tuner.statistics.items import Table
from tuner.statistics.power import DifferenceVariance, smallest_detectable
from tuner.statistics.variance import Estimate, estimate
from tuner.study.criteria import EvaluationSet
from tuner.study.design import CONTROL
from tuner.study.languages import among


@dataclass(frozen=True)
class Difference:
    """The difference between an arm and the control.

    Attributes:
        estimate: the difference, paired by seed and component; its p-value and interval are not
            corrected for other arms.
        adjusted: the p-value with Holm's correction for all arms.
    """

    estimate: Estimate
    adjusted: float

    @property
    def shown(self) -> bool:
        """True if the difference is significant: adjusted p below 5 %, interval without 0."""
        leaves_out = self.estimate.low > 0 or self.estimate.high < 0
        return leaves_out and self.adjusted < 0.05


@dataclass(frozen=True)
class ArmResult:
    """The results of one configuration.

    Attributes:
        name: name of the arm.
        settings: its settings by dotted name, in addition to those of every trial.
        search_score: its objective in the search, biased upwards by the selection.
        objectives: the objective of each seed whose trial reached the full budget.
        failed: the seeds whose trial did not reach it.
        collapsed: seeds whose objective is at most that of the most frequent label.
        tested: for each seed, accuracy on test by language, ordered pair of languages, and mean.
        dev: the objective, estimated over seeds; None if no seed has finished. If the objective has
            several parts, the estimate is of that with the lowest mean over the arm's seeds.
        dev_set: the part of the objective that `dev` is of: `mean` if it is the only one.
        test: test estimates by language and by mean over languages.
        pairs: mean accuracy over seeds of every ordered pair of languages; `en` means en and en.
        areas: unweighted means of `pairs`: mono and cross (one language, two), seen, mixed and
            unseen (both trained on, one of two, none).
        against_control: the difference from the control for each mean over languages.
        from_best: Hsu's comparison with the best, on `dev` and on `targets`.
    """

    name: str
    settings: Mapping[str, Any]
    search_score: float | None
    objectives: Mapping[int, float]
    failed: tuple[int, ...]
    collapsed: tuple[int, ...]
    tested: Mapping[int, Mapping[str, float]]
    dev: Estimate | None
    dev_set: str
    test: Mapping[str, Estimate]
    pairs: Mapping[str, float]
    areas: Mapping[str, float]
    against_control: Mapping[str, Difference]
    from_best: Mapping[str, FromBest]

    @property
    def objective(self) -> float | None:
        """The mean objective over the arm's seeds, by which the recommendation was chosen."""
        return fmean(self.objectives.values()) if self.objectives else None

    @property
    def optimism(self) -> float | None:
        """The search's score minus the mean over fresh seeds, on the same dev sets."""
        if self.search_score is None or self.objective is None:
            return None
        return self.search_score - self.objective


def against_control(tables: Mapping[str, Table]) -> dict[str, Difference]:
    """Compare every other arm with the control; empty if `tables` lacks the control."""
    if CONTROL not in tables or len(tables) < 2:
        return {}
    found = {
        name: estimate(table.minus(tables[CONTROL]))
        for name, table in tables.items()
        if name != CONTROL
    }
    adjusted = holm([each.p for each in found.values()])
    return {
        name: Difference(each, float(p))
        for (name, each), p in zip(found.items(), adjusted, strict=True)
    }


def from_best(tables: Mapping[str, Table]) -> dict[str, FromBest]:
    """Compare every arm with the best of the others; empty if there are fewer than two arms."""
    if len(tables) < 2:
        return {}
    return dict(zip(tables, with_the_best(list(tables.values())), strict=True))


def detectable(tables: Mapping[str, Table]) -> float | None:
    """Return the difference from the control that such a design detects with a power of 80 %.

    The noise is that of the observed differences; the result is the median over arms. It is None if
    there is no variation, for example because all arms collapsed in the same way.
    """
    if CONTROL not in tables or len(tables) < 2:
        return None
    control, seeds = tables[CONTROL], len(tables[CONTROL].totals)
    if seeds < 2:
        return None
    observed = [
        DifferenceVariance.observed(table.minus(control))
        for name, table in tables.items()
        if name != CONTROL
    ]
    found = [
        smallest_detectable(noise, seeds, len(tables) - 1)
        for noise in observed
        if noise.seeds or noise.items
    ]
    return median(found) if found else None


def cells(tested: Mapping[int, Mapping[str, float]], languages: Sequence[str]) -> dict[str, float]:
    """Return the mean accuracy over seeds of each ordered pair of languages."""
    names = [EvaluationSet(*both).name for both in product(languages, repeat=2)]
    every = list(tested.values())
    return {
        name: fmean(scores[name] for scores in every)
        for name in names
        if every and all(name in scores for scores in every)
    }


def areas(
    pairs: Mapping[str, float], languages: Sequence[str], trained: Sequence[str]
) -> dict[str, float]:
    """Return unweighted means over the parts of the heat map; a part without a pair is absent."""
    parts: dict[str, list[float]] = {}
    for first, second in product(languages, repeat=2):
        accuracy = pairs.get(EvaluationSet(first, second).name)
        if accuracy is not None:
            known = among(first, trained) + among(second, trained)
            parts.setdefault("mono" if first == second else "cross", []).append(accuracy)
            parts.setdefault(("unseen", "mixed", "seen")[known], []).append(accuracy)
    order = ("mono", "cross", "seen", "mixed", "unseen")
    return {part: fmean(parts[part]) for part in order if part in parts}
