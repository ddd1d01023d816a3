"""Which permitted criterion should choose: how far it ends from the best accuracy on the targets.

    python benchmarks/criteria.py              # 2 cores: ten minutes

Three views of nano, whose languages are artificial. *Pool*: 18 configurations with 50 seeds each,
trained to the end; a criterion picks from one seed of each. *Grid*: 300 configurations with one
seed each. *Searches*: TPE and ASHA on the grid's curves, four workers, 16 full trainings' budget,
each by its criterion at every rung. Regret is the best configuration's mean accuracy on the targets
less the chosen one's, in points; the targets are read for that alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import fmean
from typing import Any

import numpy as np
import pool
from contestants import Ours
from curve_table import Table
from jaxtyping import Float
from schedulers import Search, interval
from writing import RESULTS, command_line, write

from tuner.statistics.ranks import rank_correlation

CURVES = RESULTS / "curves.json.gz"
SOURCES = ("en", "de", "fr")
CROSSED = tuple(f"{a}-{b}" for a in SOURCES for b in SOURCES if a != b)
PARTS: Mapping[str, Sequence[Sequence[str]]] = {
    "mean": [SOURCES],
    "worst": [[each] for each in SOURCES],
    "cross_lingual": [CROSSED],
    "balanced": [SOURCES, CROSSED],
    "joint": [["joint"]],
}
"""The criteria on the grid, as parts of which the least counts."""
WORKERS = 4

Values = Float[np.ndarray, " configurations"]


def of_pool() -> dict[str, Any]:
    """Return every criterion's regret and rank correlation on the pool, a study a seed."""
    found = pool.read()
    sources = found.sources
    right, truth = found.right["dev"], found.right["test"][:, :, sources:].mean(axis=(1, 2, 3))
    own = right[:, :, :sources].mean(axis=3)
    scores = {
        "mean": own.mean(axis=2),
        "worst": own.min(axis=2),
        "right in all sources": right[:, :, :sources].all(axis=2).mean(axis=2),
    }
    made = {name: _judged(values.T, [truth] * values.shape[1]) for name, values in scores.items()}
    # A pivot is no target: what is left of them is the truth.
    pivots: dict[str, list[tuple[Values, Values]]] = {"pivot": [], "mean with the pivot": []}
    for place in range(sources, len(found.languages)):
        others = [each for each in range(sources, len(found.languages)) if each != place]
        left = found.right["test"][:, :, others].mean(axis=(1, 2, 3))
        alone = right[:, :, place].mean(axis=2)
        with_sources = (own.sum(axis=2) + alone) / (sources + 1)
        pivots["pivot"] += [(values, left) for values in alone.T]
        pivots["mean with the pivot"] += [(values, left) for values in with_sources.T]
    for name, pairs in pivots.items():
        values, truths = zip(*pairs, strict=True)
        made[name] = _judged(values, truths)
    return made


def of_grid() -> dict[str, Any]:
    """Return every criterion's regret and rank correlation on the grid: one study, no interval."""
    found = {}
    for name, parts in PARTS.items():
        table = Table(CURVES, parts)
        values, target = np.array(table.truth), np.array(table.target)
        found[name] = {
            "regret": _regret(values, target),
            "rank_correlation": rank_correlation(values.tolist(), target.tolist()),
        }
    return found


def _judged(studies: Sequence[Values], truths: Sequence[Values]) -> dict[str, Any]:
    regrets = [_regret(values, truth) for values, truth in zip(studies, truths, strict=True)]
    ranks = [
        rank_correlation(values.tolist(), truth.tolist()) or 0.0
        for values, truth in zip(studies, truths, strict=True)
    ]
    return {
        "regret": fmean(regrets),
        "regret_interval": interval(regrets),
        "rank_correlation": fmean(ranks),
        "rank_interval": interval(ranks),
    }


def _regret(values: Values, truth: Values) -> float:
    """Return the points that the first of the best by `values` loses."""
    return 100 * float(truth.max() - truth[int(values.argmax())])


def searched(task: tuple[str, int]) -> float:
    """Search the grid by a criterion; return the regret on the targets, in points."""
    name, seed = task
    table = Table(CURVES, PARTS[name])
    outcome = Search(table, Ours, WORKERS, seed).run()
    assert outcome.target is not None
    return 100 * outcome.target * (max(table.target) - float(np.median(table.target)))


def main() -> None:
    """Measure, print and write it down."""
    parser = command_line(__doc__, "criteria.json")
    parser.add_argument("--seeds", type=int, default=100)
    asked = parser.parse_args()
    found: dict[str, Any] = {"seeds": asked.seeds, "pool": of_pool(), "grid": of_grid()}
    searches: dict[str, Any] = {}
    regrets: dict[str, list[float]] = {}
    with ProcessPoolExecutor() as processes:
        for name in PARTS:
            tasks = [(name, seed) for seed in range(asked.seeds)]
            regrets[name] = list(processes.map(searched, tasks))
            less = [a - b for a, b in zip(regrets[name], regrets["mean"], strict=True)]
            searches[name] = {
                "regret": fmean(regrets[name]),
                "regret_interval": interval(regrets[name]),
                "less_than_mean": [fmean(less), *interval(less)],
                "within_a_point": sum(each <= 1 for each in regrets[name]),
            }
    found["searches"] = searches
    for view in ("pool", "grid", "searches"):
        for name, values in found[view].items():
            print(view, name, {key: np.round(value, 2).tolist() for key, value in values.items()})
    write(asked.out, found, "optuna", "numpy", "scipy")


if __name__ == "__main__":
    main()
