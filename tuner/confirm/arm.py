"""What came of one configuration of a confirmation, and how arms compare.

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
from tuner.statistics.power import Noise, smallest_detectable
from tuner.statistics.variance import Estimate, estimate
from tuner.study.design import CONTROL
from tuner.study.protocol import EvaluationSet


@dataclass(frozen=True)
class Difference:
    """An arm minus the control.

    Attributes:
        estimate: paired by seed and component; its p-value and interval are of this alone.
        adjusted: p-value by Holm's correction for all arms.
    """

    estimate: Estimate
    adjusted: float

    @property
    def shown(self) -> bool:
        """Whether it is none of chance: below 5 % adjusted, and the interval leaves out 0."""
        leaves_out = self.estimate.low > 0 or self.estimate.high < 0
        return leaves_out and self.adjusted < 0.05


@dataclass(frozen=True)
class ArmResult:
    """What came of one configuration.

    Attributes:
        name: of the arm.
        settings: by dotted name, on top of those of every trial.
        search_score: its objective in the search, which its selection has biased upwards.
        objectives: by seed, of trials that reached the full budget.
        failed: seeds that did not.
        collapsed: seeds whose objective is at most that of the most frequent label.
        tested: by seed, accuracy on test by language, ordered pair of languages, and mean.
        dev: what chooses, over seeds; None where no seed has come so far. Where the objective is
            the worst language: the language whose mean over the arm's seeds is the least.
        dev_set: what `dev` is of: `mean`, or the one language.
        test: by language and by mean over languages.
        pairs: mean accuracy over seeds of every ordered pair of languages, `en` standing for both.
        areas: unweighted means of `pairs`: mono and cross (one language, two), seen, mixed and
            unseen (both trained on, one of two, none).
        against_control: by mean over languages.
        from_best: by `dev` and `targets`: Hsu's comparison with the best.
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
        """Mean over the seeds that it has: what the recommendation was chosen by."""
        return fmean(self.objectives.values()) if self.objectives else None

    @property
    def optimism(self) -> float | None:
        """The search's score minus the mean of fresh seeds, on the same dev sets."""
        if self.search_score is None or self.objective is None:
            return None
        return self.search_score - self.objective


def against_control(tables: Mapping[str, Table]) -> dict[str, Difference]:
    """Of every other arm, where the control has all its seeds."""
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
    """Of every arm, where there are two or more."""
    if len(tables) < 2:
        return {}
    return dict(zip(tables, with_the_best(list(tables.values())), strict=True))


def detectable(tables: Mapping[str, Table]) -> float | None:
    """The difference to the control that such a plan finds four times out of five.

    As the differences themselves vary; the median over arms. None where nothing varies, as where
    all have collapsed alike.
    """
    if CONTROL not in tables or len(tables) < 2:
        return None
    control, seeds = tables[CONTROL], len(tables[CONTROL].totals)
    if seeds < 2:
        return None
    observed = [
        Noise.observed(table.minus(control)) for name, table in tables.items() if name != CONTROL
    ]
    found = [
        smallest_detectable(noise, seeds, len(tables) - 1)
        for noise in observed
        if noise.seeds or noise.items
    ]
    return median(found) if found else None


def cells(tested: Mapping[int, Mapping[str, float]], languages: Sequence[str]) -> dict[str, float]:
    """Mean over seeds of each ordered pair of languages."""
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
    """Unweighted means over the heat map's parts; a part without a pair is absent."""
    parts: dict[str, list[float]] = {}
    for first, second in product(languages, repeat=2):
        accuracy = pairs.get(EvaluationSet(first, second).name)
        if accuracy is not None:
            known = (first in trained) + (second in trained)
            parts.setdefault("mono" if first == second else "cross", []).append(accuracy)
            parts.setdefault(("unseen", "mixed", "seen")[known], []).append(accuracy)
    order = ("mono", "cross", "seen", "mixed", "unseen")
    return {part: fmean(parts[part]) for part in order if part in parts}
