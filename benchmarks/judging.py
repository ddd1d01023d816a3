"""What is asked of a study whose truth is known, and how often the answer is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from tuner.statistics.comparisons import holm, with_the_best
from tuner.statistics.items import Table
from tuner.statistics.variance import estimate

LEVEL = 0.05
CONFIRMED = 5
"""How many configurations `tuner confirm` trains again, the control not counted."""


class World(Protocol):
    """Configurations of known truth, the first of them the control, on a drawn set of items.

    Runs are what fresh seeds do to the configurations, on this set and on any other alike: a model
    that is lucky on dev is the same on test.
    """

    @property
    def truth(self) -> Float[np.ndarray, " configurations"]: ...

    @property
    def pairs(self) -> int: ...

    def runs(self, seeds: int) -> Any: ...

    def tables(self, runs: Any, which: Sequence[int]) -> list[Table]: ...


def study(dev: World, test: World, seeds: int, trials: int) -> dict[str, float]:
    """A search on dev, its best configurations trained with fresh seeds, the best on dev on test.

    Args:
        dev: what selects.
        test: the same configurations on items that selected nothing.
        seeds: of the confirmation; each trial of the search has one of its own.
        trials: of the search, each of a configuration drawn anew but for the first: the control.

    Returns:
        Which statements were right, 1 or 0, or the share of those that were; lengths in points.
    """
    ran = [0, *_drawn(dev, trials)]
    searched = np.array([dev.tables(dev.runs(1), [number])[0].mean for number in ran])
    ranked = list(dict.fromkeys(ran[trial] for trial in np.argsort(-searched, kind="stable")))
    chosen = [0, *[number for number in ranked if number][:CONFIRMED]]
    runs = test.runs(seeds)
    on_test, on_dev = test.tables(runs, chosen), dev.tables(runs, chosen)
    best = int(np.argmax(searched))
    claimed, true = searched[best] - searched[0], dev.truth[ran[best]] - dev.truth[0]
    first = int(np.argmax([table.mean for table in on_dev]))
    recommended = chosen[first]
    return {
        **judged(on_test, test.truth[chosen], test.pairs),
        **_of_recommended(on_test, test.truth[chosen], first),
        "mean on dev covered": _covered(on_dev, dev.truth[chosen]),
        "recommended on dev covered": _covered(on_dev[first:][:1], dev.truth[[recommended]]),
        "best on dev is tied on dev": _best_is_tied(on_dev, dev.truth[chosen]),
        "search score too high by": 100 * (searched[best] - dev.truth[ran[best]]),
        "gain over the control too high by": 100 * (claimed - true),
        "a gain of half a point and more claimed": float(claimed > 0.005),
        "claimed and not so": float(claimed > 0.005 and true <= 0),
        "best fresh mean on dev too high by": 100
        * (max(table.mean for table in on_dev) - dev.truth[recommended]),
    }


def _of_recommended(
    tables: Sequence[Table], truth: Float[np.ndarray, " configurations"], first: int
) -> dict[str, float]:
    """What is said on test of the configuration that dev chose, by the same runs."""
    difference, true = tables[first].minus(tables[0]), truth[first] - truth[0]
    return {
        "recommended covered": _covered([tables[first]], truth[[first]]),
        "recommended too high by": 100 * (tables[first].mean - truth[first]),
        "its difference covered": _covered([difference], true[None]) if first else math.nan,
        "its difference found falsely": (
            float(estimate(difference).p < LEVEL and difference.mean * true <= 0)
            if first
            else math.nan
        ),
    }


def judged(
    tables: Sequence[Table], truth: Float[np.ndarray, " configurations"], pairs: int
) -> dict[str, float]:
    """Means, differences from the control, ties with the best: which of them are right.

    Args:
        tables: the control's first.
        truth: their true means.
        pairs: how many were evaluated, over all languages.
    """
    differences = [table.minus(tables[0]) for table in tables[1:]]
    true = truth[1:] - truth[0]
    estimates = [estimate(difference) for difference in differences]
    adjusted = holm([each.p for each in estimates])
    wrong = [
        p < LEVEL and each.value * difference <= 0
        for p, each, difference in zip(adjusted, estimates, true, strict=True)
    ]
    by_seeds = [_seeds_alone(table) for table in differences]
    return {
        "mean covered": _covered(tables, truth),
        "difference covered": _covered(differences, true),
        "difference found falsely": float(any(wrong)),
        "differences found": float(np.mean(adjusted < LEVEL)),
        "best is tied": _best_is_tied(tables, truth),
        "tied": float(sum(each.tied for each in with_the_best(tables))),
        "width of a difference": 100 * float(np.mean([each.high - each.low for each in estimates])),
        "mean covered by seeds alone": float(
            np.mean([low <= is_ <= high for (low, high, _), is_ in _with(tables, truth)])
        ),
        "mean covered by independent pairs": float(
            np.mean(
                [
                    abs(table.mean - is_) <= 1.96 * math.sqrt(table.mean * (1 - table.mean) / pairs)
                    for table, is_ in zip(tables, truth, strict=True)
                ]
            )
        ),
        "mean covered by the bootstrap over seeds": float(
            np.mean([_bootstrapped(table, is_) for table, is_ in zip(tables, truth, strict=True)])
        ),
        "difference found falsely by seeds alone, uncorrected": float(
            any(
                p < LEVEL and table.mean * difference <= 0
                for (_, _, p), table, difference in zip(by_seeds, differences, true, strict=True)
            )
        ),
    }


def rate(values: Sequence[float]) -> dict[str, float]:
    """A mean of shares between 0 and 1, one a study, with its 95 % interval.

    Wilson's, at the number of independent yes-or-noes that would vary as the studies' shares do:
    for one yes or no a study, their number.
    """
    shares = np.asarray(values, float)
    mean, count = float(shares.mean()), len(shares)
    variance = float(shares.var()) / count
    effective = mean * (1 - mean) / variance if variance else count
    z = 1.959964
    middle = (mean + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = math.sqrt(mean * (1 - mean) / effective + z**2 / (4 * effective**2)) * z
    half /= 1 + z**2 / effective
    return {
        "rate": round(mean, 4),
        "low": round(middle - half, 4),
        "high": round(middle + half, 4),
        "studies": count,
    }


def summary(found: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Over all studies: rates of what is right or wrong, means and deciles of what is in points.

    Studies that do not have something, a nan, are left out of it.
    """
    said: dict[str, Any] = {}
    for name in found[0]:
        values = [each[name] for each in found if not math.isnan(each[name])]
        if not values:
            continue
        if all(0 <= value <= 1 for value in values):
            said[name] = rate(values)
        else:
            low, high = np.quantile(values, [0.1, 0.9])
            said[name] = {
                "mean": round(float(np.mean(values)), 3),
                "middle 80 %": [round(float(low), 3), round(float(high), 3)],
            }
    return said


def markdown(found: dict[str, dict[str, Any]]) -> str:
    """The tables of README.md: a row a kind of study, a column a question, rates in %."""
    lines = []
    for kind, columns in COLUMNS.items():
        lines += [
            "",
            f"| {kind} | " + " | ".join(columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name, answers in found[kind].items():
            cells = [_cell(answers.get(column)) for column in columns]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


COLUMNS = {
    "studies": (
        "mean covered",
        "difference covered",
        "difference found falsely",
        "best is tied",
        "tied",
        "mean covered by seeds alone",
        "mean covered by independent pairs",
        "mean covered by the bootstrap over seeds",
        "difference found falsely by seeds alone, uncorrected",
        "recommended covered",
        "its difference covered",
        "its difference found falsely",
        "recommended too high by",
        "mean on dev covered",
        "recommended on dev covered",
        "best on dev is tied on dev",
        "search score too high by",
        "gain over the control too high by",
        "claimed and not so",
        "best fresh mean on dev too high by",
    ),
    "scaling studies": (
        "effect covered",
        "marginal mean covered",
        "effect found falsely",
        "clear effects found",
        "gains of a larger B bounded",
        "a B named",
        "a B named too small",
        "form rejected",
    ),
    "exact t of normal scores": ("covered", "difference found falsely"),
}


def _cell(answer: dict[str, Any] | float | None) -> str:
    if answer is None:
        return "–"
    if isinstance(answer, float):
        return f"{100 * answer:.1f}"
    if "rate" in answer:
        return (
            f"{100 * answer['rate']:.1f} ({100 * answer['low']:.1f} to {100 * answer['high']:.1f})"
        )
    return f"{answer['mean']:.1f}"


def _drawn(world: World, trials: int) -> list[int]:
    """The configurations of a search but the control: all once, then all again."""
    count = len(world.truth) - 1
    return [1 + trial % count for trial in range(trials - 1)]


def _best_is_tied(tables: Sequence[Table], truth: Float[np.ndarray, " configurations"]) -> float:
    """Whether the truly best, of equal ones the first, is said to be among those that may be."""
    return float(with_the_best(tables)[int(np.argmax(truth))].tied)


def _covered(tables: Sequence[Table], truth: Float[np.ndarray, " configurations"]) -> float:
    estimates = [estimate(table) for table in tables]
    return float(
        np.mean([each.low <= is_ <= each.high for each, is_ in zip(estimates, truth, strict=True)])
    )


def _seeds_alone(table: Table) -> tuple[float, float, float]:
    """The t interval over seeds, and its p-value: what a table of means and deviations implies."""
    scores = table.scores
    error = float(scores.std(ddof=1)) / math.sqrt(len(scores))
    if error == 0:
        return table.mean, table.mean, float(table.mean == 0)
    half = float(stats.t.ppf(1 - LEVEL / 2, len(scores) - 1)) * error
    p = 2 * float(stats.t.sf(abs(table.mean) / error, len(scores) - 1))
    return table.mean - half, table.mean + half, p


def _with(
    tables: Sequence[Table], truth: Float[np.ndarray, " configurations"]
) -> list[tuple[tuple[float, float, float], float]]:
    return [(_seeds_alone(table), is_) for table, is_ in zip(tables, truth, strict=True)]


def _bootstrapped(table: Table, truth: float) -> bool:
    """Whether the percentile bootstrap over seeds, all resamples alike, holds it."""
    scores = table.scores
    low, high = np.quantile(
        scores[_resamples(len(scores))].mean(axis=1), [LEVEL / 2, 1 - LEVEL / 2]
    )
    return bool(low <= truth <= high)


@cache
def _resamples(seeds: int) -> Int[np.ndarray, "resamples seeds"]:
    return np.random.default_rng(0).integers(0, seeds, (1000, seeds))
