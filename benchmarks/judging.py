"""What is asked of a study whose truth is known, and how often the answer is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from tuner.search.complete import complete_block
from tuner.statistics.comparisons import holm, with_the_best
from tuner.statistics.items import Table
from tuner.statistics.variance import estimate

LEVEL = 0.05
CONFIRMED = 3
"""How many configurations `tuner confirm` trains again, the controls not counted."""
ONCE = 5, 5
"""Configurations and seeds of a confirmation whose runs both choose and estimate, as it was."""


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


@dataclass(frozen=True)
class Scheme:
    """How a search is confirmed.

    Attributes:
        choosing: seeds of all arms.
        estimating: other seeds, of the recommended arm and the tuned controls; 0 in a scaling
            study.
        failing: the share of runs that fail.
    """

    choosing: int = 3
    estimating: int = 6
    failing: float = 0.0

    @property
    def name(self) -> str:
        """Its seeds, as `--seeds` takes them."""
        apart = f"+{self.estimating}" if self.estimating else ""
        return f"{self.choosing}{apart} seeds"


def study(
    dev: World,
    test: World,
    kinds: Sequence[Bool[np.ndarray, " configurations"]],
    scheme: Scheme,
    trials: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """A search on dev, its best and its controls with fresh seeds, the best on dev on test.

    Args:
        dev: what selects.
        test: the same configurations on items that selected nothing.
        kinds: which configurations are controls, for each kind of control.
        scheme: how it is confirmed.
        trials: of the search, each of a configuration drawn anew but for the first: the baseline.
        rng: what runs fail with.

    Returns:
        Which statements were right, 1 or 0, or the share of those that were; lengths in points.
    """
    ran = [0, *_drawn(dev, trials)]
    searched = np.array([dev.tables(dev.runs(1), [number])[0].mean for number in ran])
    ranked = list(dict.fromkeys(ran[trial] for trial in np.argsort(-searched, kind="stable")))
    controls = [next(number for number in ranked if kind[number]) for kind in kinds]
    arms = list(dict.fromkeys([0, *[n for n in ranked if n][:CONFIRMED], *controls]))
    choosing = dev.tables(dev.runs(scheme.choosing), arms)
    done = {place: _left(scheme.choosing, scheme.failing, rng) for place in range(len(arms))}
    places, seeds = complete_block(done)
    if len(places) < 2:
        return {}
    compared, on_dev = [arms[n] for n in places], [choosing[n].of_seeds(seeds) for n in places]
    recommended = compared[int(np.argmax([table.mean for table in on_dev]))]
    estimated = list(dict.fromkeys([recommended, *controls]))
    on_test = test.tables(test.runs(scheme.estimating), estimated)
    kept = {n: _left(scheme.estimating, scheme.failing, rng) for n in range(len(estimated))}
    best = int(np.argmax(searched))
    claimed, true = searched[best] - searched[0], dev.truth[ran[best]] - dev.truth[0]
    return {
        **_estimated(on_test, test.truth[estimated], kept, test.pairs),
        "best on dev is tied on dev": _best_is_tied(on_dev, dev.truth[compared]),
        "tied on dev": float(sum(each.tied for each in with_the_best(on_dev))),
        "runs": float(len(arms) * scheme.choosing + len(estimated) * scheme.estimating),
        "search score too high by": 100 * (searched[best] - dev.truth[ran[best]]),
        "gain over the baseline too high by": 100 * (claimed - true),
        "claimed and not so": float(claimed > 0.005 and true <= 0),
        **_once(dev, test, ranked),
    }


def _left(seeds: int, failing: float, rng: np.random.Generator) -> list[int]:
    return [seed for seed in range(seeds) if failing == 0 or rng.random() >= failing]


def _estimated(
    tables: Sequence[Table],
    truth: Float[np.ndarray, " configurations"],
    kept: Mapping[int, Sequence[int]],
    pairs: int,
) -> dict[str, float]:
    """What is said of the recommended configuration, by runs that chose nothing.

    Args:
        tables: its own, then the controls'.
        truth: their true means.
        kept: the seeds of each that have not failed.
        pairs: how many were evaluated, over all languages.
    """
    own = tables[0].of_seeds(kept[0])
    both = [(n, [seed for seed in kept[0] if seed in kept[n]]) for n in range(1, len(tables))]
    paired = [(n, common) for n, common in both if len(common) >= 2]
    differences = [tables[0].of_seeds(c).minus(tables[n].of_seeds(c)) for n, c in paired]
    true = np.array([truth[0] - truth[n] for n, _ in paired])
    estimates = [estimate(difference) for difference in differences]
    adjusted = holm([each.p for each in estimates]) if estimates else np.zeros(0)
    wrong = [
        p < LEVEL and each.value * difference <= 0
        for p, each, difference in zip(adjusted, estimates, true, strict=True)
    ]
    seeds_alone, *_ = _with([own], truth[:1])
    (low, high, _), is_ = seeds_alone
    item_error = math.sqrt(own.mean * (1 - own.mean) / pairs)
    return {
        "recommended covered": _covered([own], truth[:1]),
        "difference covered": _covered(differences, true) if differences else math.nan,
        "difference found falsely": float(any(wrong)) if differences else math.nan,
        "differences found": float(np.mean(adjusted < LEVEL)) if estimates else math.nan,
        "recommended too high by": 100 * (own.mean - truth[0]),
        "width of a difference": (
            100 * float(np.mean([e.high - e.low for e in estimates])) if estimates else math.nan
        ),
        "covered by seeds alone": float(low <= is_ <= high),
        "covered by independent pairs": float(abs(own.mean - is_) <= 1.96 * item_error),
        "covered by the bootstrap over seeds": float(_bootstrapped(own, is_)),
    }


def _once(dev: World, test: World, ranked: Sequence[int]) -> dict[str, float]:
    """What the same runs would say that chose: five configurations and the baseline, five seeds."""
    configurations, seeds = ONCE
    arms = [0, *[number for number in ranked if number][:configurations]]
    runs = test.runs(seeds)
    first = int(np.argmax([table.mean for table in dev.tables(runs, arms)]))
    tables = test.tables(runs, [arms[first], 0])
    truth = test.truth[[arms[first], 0]]
    return {
        "covered, if its runs chose": _covered(tables[:1], truth[:1]),
        "difference covered, if its runs chose": (
            _covered([tables[0].minus(tables[1])], truth[:1] - truth[1:]) if first else math.nan
        ),
        "too high by, if its runs chose": 100 * (tables[0].mean - truth[0]),
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
    for name in max(found, key=len):
        values = [each[name] for each in found if name in each and not math.isnan(each[name])]
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
        "recommended covered",
        "difference covered",
        "difference found falsely",
        "best on dev is tied on dev",
        "tied on dev",
        "recommended too high by",
        "covered, if its runs chose",
        "difference covered, if its runs chose",
        "too high by, if its runs chose",
        "covered by seeds alone",
        "covered by independent pairs",
        "covered by the bootstrap over seeds",
        "search score too high by",
        "gain over the baseline too high by",
        "claimed and not so",
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
