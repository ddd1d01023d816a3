"""Searches simulated on recorded curves, with a clock: what they find for the same training.

    python benchmarks/schedulers.py                                  # nano's curves, 30 seeds
    python benchmarks/schedulers.py --table CURVES.json.gz --only ours before optuna

Every contestant has the same workers and the same budget, 16 full trainings. It is judged by the
true mean score of the trial that it would recommend when the budget is spent: its best at the
highest level that any of its trials reached. Regret is 0 for the table's best configuration and 1
for its median one. Nothing is trained; the format of a table is in `curve_table.py`.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import contestants
import numpy as np
import peers
from contestants import Contestant
from curve_table import Curve, Table
from writing import RESULTS, command_line, write

TRAININGS = 16
WORKERS = (1, 4, 16)
SEEDS = 30
Make = Callable[[Table, int], Contestant]

CONTESTANTS: dict[str, Make] = {
    "ours": contestants.Ours,
    "ours: promotion": partial(contestants.Ours, variant="promotion"),
    "ours: random": partial(contestants.Ours, sampler="random"),
    "ours: no rechecks": partial(contestants.Ours, rechecks=False),
    "ours: first rung 1/27": partial(contestants.Ours, first=27),
    "ours: first rung 1/9": partial(contestants.Ours, first=9),
    "ours: sobol start": partial(contestants.Ours, startup="sobol"),
    "ours: gp": partial(contestants.Ours, sampler="gp"),
    "before": contestants.Before,
    "before: random": partial(contestants.Before, sampler="random"),
    "Optuna": peers.Optuna,
    "Ray": peers.Ray,
    "Syne Tune, ASHA": peers.SyneTune,
    "Syne Tune, BOHB": partial(peers.SyneTune, searcher="bohb"),
}
"""The first is the one that others are compared with."""


@dataclass(frozen=True)
class Outcome:
    """What one search found.

    Attributes:
        regret: of its recommendation, on the objective.
        target: the same on the targets, by which nothing chose; None without targets.
        seconds: of the simulated clock, until the budget was spent.
        trials: how many it began.
        distinct: how many configurations these are.
        completed: how many reached the last level.
        by_size: of each effective batch size, how many trials began and how many were stopped
            between two rungs, if the table varies it.
    """

    regret: float
    target: float | None
    seconds: float
    trials: int
    distinct: int
    completed: int
    by_size: dict[int, tuple[int, int]]


@dataclass
class _Running:
    """A trial on a worker, from one value to the next."""

    trial: int
    level: int
    since: float
    until: float


class Search:
    """A simulated search in progress."""

    def __init__(self, table: Table, make: Make, workers: int, seed: int) -> None:
        self._table, self._workers = table, workers
        self._chance = random.Random(f"{table.name} {seed}")
        self._contestant = make(table, seed)
        self._params: dict[int, dict[str, object]] = {}
        self._drawn: set[int] = set()
        self._curves: dict[int, Curve] = {}
        self._levels: dict[int, int] = {}  # by trial: the last level with a value; -1 before one
        self._fell: Counter[int] = Counter()
        self._running: dict[int, _Running] = {}
        self._events: list[tuple[float, int, int]] = []  # time, order, trial
        self._spent, self._now, self._order = 0.0, 0.0, 0
        self._budget = TRAININGS * table.levels[-1]

    def run(self) -> Outcome:
        """Search until the budget is spent."""
        self._fill()
        while self._events:
            self._now, order, trial = heapq.heappop(self._events)
            running = self._running.get(trial)
            if running is None or (running.until, order) != (self._now, order):
                continue  # it was stopped before
            self._arrive(running)
            for other in list(self._running.values()):
                self._look(other)
            if self._spent >= self._budget:
                break
            self._fill()
        return self._outcome()

    def _fill(self) -> None:
        """Give every free worker a trial."""
        while len(self._running) < self._workers:
            found = self._contestant.next()
            if found is None:
                return
            trial, params = found
            if trial not in self._curves:
                self._params[trial] = params
                self._curves[trial] = self._table.curve(params, self._chance, self._drawn)
                self._levels[trial] = -1
            self._send(trial)

    def _send(self, trial: int) -> None:
        """Let a trial train up to the next level at which the contestant wants a value."""
        last = self._levels[trial]
        level = next(level for level in self._contestant.levels if level > last)
        seconds = self._seconds(trial, level) - self._seconds(trial, last)
        self._order += 1
        self._running[trial] = _Running(trial, level, self._now, self._now + seconds)
        heapq.heappush(self._events, (self._now + seconds, self._order, trial))

    def _seconds(self, trial: int, level: int) -> float:
        return self._curves[trial].seconds[level] if level >= 0 else 0.0

    def _pairs(self, level: int) -> int:
        return self._table.levels[level] if level >= 0 else 0

    def _arrive(self, running: _Running) -> None:
        trial, level = running.trial, running.level
        self._spent += self._pairs(level) - self._pairs(self._levels[trial])
        self._levels[trial] = level
        del self._running[trial]
        decision = self._contestant.told(trial, level, self._curves[trial].values[level])
        if decision == "continue":
            assert level < len(self._table.levels) - 1, "it continued at the last level"
            self._send(trial)

    def _look(self, running: _Running) -> None:
        """Let the contestant stop a trial between two values."""
        trial, last = running.trial, self._levels[running.trial]
        done = (self._now - running.since) / max(running.until - running.since, 1e-9)
        trained = done * (self._pairs(running.level) - self._pairs(last))
        if self._contestant.falls(trial, self._pairs(last) + trained):
            self._spent += trained
            self._fell[trial] += 1
            del self._running[trial]

    def _outcome(self) -> Outcome:
        table = self._table
        valued = [trial for trial, level in self._levels.items() if level >= 0]
        best = max(valued, key=lambda t: (self._levels[t], self._value(t), -t))
        point = self._curves[best].point
        sizes: dict[int, tuple[int, int]] = {}
        for trial, params in self._params.items():
            size = params.get("batch.effective_size")
            if isinstance(size, int):
                began, fell = sizes.get(size, (0, 0))
                sizes[size] = began + 1, fell + self._fell[trial]
        return Outcome(
            regret=table.regret(point, table.truth),
            target=table.regret(point, table.target) if table.target else None,
            seconds=self._now,
            trials=len(self._params),
            distinct=len({str(sorted(params.items())) for params in self._params.values()}),
            completed=sum(level == len(table.levels) - 1 for level in self._levels.values()),
            by_size=sizes,
        )

    def _value(self, trial: int) -> float:
        return self._curves[trial].values[self._levels[trial]]


_table: Table


def _start(path: Path, objective: Sequence[Sequence[str]]) -> None:
    """In every process, once."""
    global _table
    _table = Table(path, objective)


def _search(task: tuple[str, int, int]) -> Outcome:
    name, workers, seed = task
    return Search(_table, CONTESTANTS[name], workers, seed).run()


def interval(differences: list[float]) -> tuple[float, float]:
    """Return a 95 % interval of the mean: bootstrap over seeds, percentiles of 10,000."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(differences, size=(10_000, len(differences)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the means over seeds, every seed's regret, and the trials stopped between rungs.

    These are a share of the trials that began, by their effective batch size.
    """
    began: Counter[int] = Counter()
    fell: Counter[int] = Counter()
    for each in outcomes:
        for size, (trials, stopped) in each.by_size.items():
            began[size] += trials
            fell[size] += stopped
    names = ("regret", "target", "seconds", "trials", "distinct", "completed")
    means = {
        name: [value for each in outcomes if (value := getattr(each, name)) is not None]
        for name in names
    }
    return {
        **{name: round(fmean(values), 4) for name, values in means.items() if values},
        "regrets": [round(each.regret, 4) for each in outcomes],
        "stopped between rungs": {
            size: round(fell[size] / began[size], 4) for size in sorted(began)
        },
    }


def main() -> None:
    """Simulate, print a table, and write the outcomes."""
    parser = command_line(__doc__, "schedulers.json")
    parser.add_argument("--table", type=Path, default=RESULTS / "curves.json.gz")
    parser.add_argument("--objective", nargs="*", default=[], help="scores whose mean is searched")
    parser.add_argument("--only", nargs="*", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--workers", nargs="*", type=int, default=list(WORKERS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    objective = [asked.objective] if asked.objective else []
    with ProcessPoolExecutor(
        asked.processes, initializer=_start, initargs=(asked.table, objective)
    ) as processes:
        for workers in asked.workers:
            print(f"\nW = {workers}: regret, difference to {asked.only[0]} [95 %], on the targets")
            first: list[float] = []
            for name in asked.only:
                started = time.perf_counter()
                tasks = [(name, workers, seed) for seed in range(asked.seeds)]
                outcomes = list(processes.map(_search, tasks))
                regrets = [each.regret for each in outcomes]
                first = first or regrets
                differences = [ours - other for ours, other in zip(first, regrets, strict=True)]
                low, high = interval(differences)
                found[f"{name}, W = {workers}"] = {
                    "first minus this": [round(each, 4) for each in (fmean(differences), low, high)]
                } | summary(outcomes)
                on_target = [each.target for each in outcomes if each.target is not None]
                print(
                    f"  {name:22} {fmean(regrets):6.3f}  {fmean(differences):+.3f} "
                    f"[{low:+.3f}, {high:+.3f}]  {fmean(on_target or [0]):6.3f}  "
                    f"{fmean(each.seconds for each in outcomes):6.1f} s  "
                    f"{fmean(each.trials for each in outcomes):5.1f} trials, "
                    f"{fmean(each.distinct for each in outcomes):5.1f} distinct, "
                    f"{fmean(each.completed for each in outcomes):4.1f} completed  "
                    f"({time.perf_counter() - started:.0f} s)",
                    flush=True,
                )
    write(asked.out, {"table": asked.table.name, "found": found}, "optuna", "ray", "numpy")


if __name__ == "__main__":
    main()
