"""Arms: the results of each configuration of a confirmation, and comparisons between them.

All scores are accuracies, shares from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, median
from typing import Any

from tuner.statistics.comparisons import FromBest, holm, with_the_best
from tuner.statistics.items import Table
from tuner.statistics.power import DifferenceVariance, smallest_detectable
from tuner.statistics.variance import Estimate, estimate
from tuner.study.criteria import EvaluationSet
from tuner.study.languages import among

AREAS = {
    "mono": "both sentences in one language",
    "cross": "sentences in two languages",
    "seen": "both in training languages",
    "mixed": "one in a training language",
    "unseen": "neither in a training language",
}
"""The parts of the heat map of language pairs, in words and in order."""
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Contrast:
    """The difference of an arm from a control on test.

    Attributes:
        arm, control: names of both arms.
        estimate: the difference, paired by seed and component; its p-value and interval are not
            corrected for other contrasts.
        adjusted: the p-value with Holm's correction for all contrasts on the same languages.
    """

    arm: str
    control: str
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
        choosing: the objective of each seed that chose, if its trial reached the full budget.
        estimating: the objective of each seed that estimates, likewise; the same as `choosing` in a
            confirmation whose runs do both.
        failed: seeds whose trial did not reach the full budget.
        collapsed: seeds whose objective is at most that of the most frequent label.
        tested: for each seed, accuracy on test by language, ordered pair of languages, and mean.
        dev: the objective, estimated over the seeds that chose; None if none has finished. If the
            objective has several parts, the estimate is of that with the lowest mean over them.
        dev_set: the part of the objective that `dev` is of: `mean` if it is the only one.
        test: test estimates by language and by mean over languages.
        pairs: the same of every ordered pair of languages; `en` means en and en.
        areas: unweighted means of `pairs`: mono and cross (one language, two), seen, mixed and
            unseen (both trained on, one of two, none).
        from_best: Hsu's comparison with the best, on `dev`; and on `targets` if all arms have test.
    """

    name: str
    settings: Mapping[str, Any]
    search_score: float | None
    choosing: Mapping[int, float]
    estimating: Mapping[int, float]
    failed: tuple[int, ...]
    collapsed: tuple[int, ...]
    tested: Mapping[int, Mapping[str, float]]
    dev: Estimate | None
    dev_set: str
    test: Mapping[str, Estimate]
    pairs: Mapping[str, Estimate]
    areas: Mapping[str, Estimate]
    from_best: Mapping[str, FromBest]

    @property
    def objective(self) -> float | None:
        """The mean objective over the seeds that chose."""
        return fmean(self.choosing.values()) if self.choosing else None

    @property
    def fresh(self) -> Mapping[int, float]:
        """The objective of each seed that chose nothing about this arm, if it has any."""
        return self.estimating or self.choosing

    @property
    def runs(self) -> Mapping[int, float]:
        """The objective of each seed."""
        return {**self.choosing, **self.estimating}

    @property
    def optimism(self) -> float | None:
        """The search's score minus the mean over fresh seeds, on the same dev sets."""
        if self.search_score is None or not self.fresh:
            return None
        return self.search_score - fmean(self.fresh.values())


def contrasts(tables: Mapping[str, tuple[Sequence[int], Table]], pairs: Pairs) -> list[Contrast]:
    """Compare arms with controls.

    Args:
        tables: for each arm its seeds and its table. A contrast is of the seeds that both have; it
            is left out if there are fewer than two.
        pairs: the arm and the control of each contrast.
    """
    found: list[tuple[str, str, Estimate]] = []
    for arm, control in pairs:
        (own, ours), (others, theirs) = tables[arm], tables[control]
        common = sorted({*own} & {*others})
        if len(common) >= 2:
            ours = ours.of_seeds([own.index(seed) for seed in common])
            theirs = theirs.of_seeds([others.index(seed) for seed in common])
            found.append((arm, control, estimate(ours.minus(theirs))))
    if not found:
        return []
    adjusted = holm([each.p for _, _, each in found])
    return [
        Contrast(arm, control, each, float(p))
        for (arm, control, each), p in zip(found, adjusted, strict=True)
    ]


def from_best(tables: Mapping[str, Table]) -> dict[str, FromBest]:
    """Compare every arm with the best of the others; empty if there are fewer than two arms."""
    if len(tables) < 2:
        return {}
    return dict(zip(tables, with_the_best(list(tables.values())), strict=True))


def detectable(tables: Mapping[str, Table], pairs: Pairs) -> float | None:
    """Return the difference from a control that such a design detects with a power of 80 %.

    The noise is that of the observed differences; the result is the median over contrasts. It is
    None if there is no variation, for example because all arms collapsed in the same way.

    Args:
        tables: the table of each arm that has all its seeds.
        pairs: the arm and the control of each contrast.
    """
    both = [(tables[a], tables[b]) for a, b in pairs if a in tables and b in tables]
    if not both or len(both[0][0].totals) < 2:
        return None
    observed = [DifferenceVariance.observed(ours.minus(theirs)) for ours, theirs in both]
    found = [
        smallest_detectable(noise, len(both[0][0].totals), len(pairs))
        for noise in observed
        if noise.seeds or noise.items
    ]
    return median(found) if found else None


def areas(
    languages: Sequence[str], trained: Sequence[str], tested: Collection[str]
) -> dict[str, list[EvaluationSet]]:
    """Return the ordered pairs of each part of the heat map; a part without a pair is absent.

    Args:
        languages: the languages that have test.
        trained: the training languages.
        tested: names of the pairs that were evaluated.
    """
    parts: dict[str, list[EvaluationSet]] = {}
    for first, second in product(languages, repeat=2):
        each = EvaluationSet(first, second)
        if each.name in tested:
            known = among(first, trained) + among(second, trained)
            parts.setdefault("mono" if first == second else "cross", []).append(each)
            parts.setdefault(("unseen", "mixed", "seen")[known], []).append(each)
    return {part: parts[part] for part in AREAS if part in parts}
