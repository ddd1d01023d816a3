"""Whether TPE loses anything by modelling 300 trials of thousands: it proposes on made-up surfaces.

    python benchmarks/modelled.py                 # 2 cores: half an hour
    python benchmarks/modelled.py --seeds 2 --trials 400

A search of 1,500 trials on each surface: four continuous settings and a choice, with effects that
interact, and noise. The cap is 300 as in the product, or 60, or so high that all are modelled.
What counts is the true quality: of the trial with the best value, and the mean of the last 200
proposals. 0 is the quality of an average point, 1 that of the best one.
"""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from math import log
from statistics import fmean
from typing import Any

from schedulers import interval
from writing import command_line, write

from tuner.search import optuna_samplers
from tuner.search.observations import Observation, Observations
from tuner.search.sampler import sampler_of
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.feasible import Feasible

CAPS = {"60": 60, "300": 300, "all": 10**9}
NOISE = 0.1
"""The standard deviation of a value, where the best point is 1 and the average one 0."""
LAST = 200
RUNG = 1000
KINDS = ("last", "dlfa", "sum")
SPACE: dict[str, Any] = {
    "optim.lr": {"type": "float", "low": 1e-5, "high": 1e-3, "log": True},
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 1},
    "head.dropout": {"type": "float", "low": 0, "high": 0.5},
    "optim.weight_decay": {"type": "float", "low": 0, "high": 0.1},
    "fusion.kind": list(KINDS),
}


class Surface:
    """A quality for each point: a peak for each kind of fusion, the settings entangled."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"surface {seed}")
        self._peaks = {kind: [chance.uniform(0.1, 0.9) for _ in range(4)] for kind in KINDS}
        self._heights = {kind: chance.uniform(0, 0.3) for kind in KINDS}
        self._turn = chance.uniform(-0.8, 0.8)
        drawn = [self._raw(_random_point(chance)) for _ in range(2000)]
        grid = [n / 20 for n in range(21)]
        self._mean = fmean(drawn)
        self._best = max(
            *(self._at(kind, peak) for kind, peak in self._peaks.items()),
            *(self._at(kind, unit) for kind in KINDS for unit in product(grid[::4], repeat=4)),
        )

    def __call__(self, point: dict[str, Any]) -> float:
        return (self._raw(point) - self._mean) / (self._best - self._mean)

    def _raw(self, point: dict[str, Any]) -> float:
        unit = [
            log(point["optim.lr"] / 1e-5) / log(100), point["mix.cross_lingual"],
            point["head.dropout"] / 0.5, point["optim.weight_decay"] / 0.1,
        ]  # fmt: skip
        return self._at(point["fusion.kind"], unit)

    def _at(self, kind: str, unit: Any) -> float:
        away = [here - peak for here, peak in zip(unit, self._peaks[kind], strict=True)]
        weights = (3, 1, 0.3, 0.1)
        square = sum(w * x * x for w, x in zip(weights, away, strict=True))
        return float(self._heights[kind] - square - 2 * self._turn * away[0] * away[1])


def _random_point(chance: random.Random) -> dict[str, Any]:
    return {
        "optim.lr": 10 ** chance.uniform(-5, -3), "mix.cross_lingual": chance.random(),
        "head.dropout": chance.uniform(0, 0.5), "optim.weight_decay": chance.uniform(0, 0.1),
        "fusion.kind": chance.choice(KINDS),
    }  # fmt: skip


def searched(cap: int, trials: int, seed: int) -> dict[str, float]:
    """Search one surface, one trial after another, each with a value at a single rung."""
    optuna_samplers.MODELLED = cap
    surface, chance = Surface(seed), random.Random(f"noise {seed}")
    feasible = Feasible(Space.model_validate(SPACE), {}, ())
    sampler = sampler_of(feasible, SamplerConfig(kind="tpe", seed=seed))
    known, qualities, best = Observations(), [], (-1e9, -1e9)
    for number in range(trials):
        point = sampler.next_point(number, known, lambda _: True)
        assert point is not None
        qualities.append(surface(point))
        value = qualities[-1] + chance.gauss(0, NOISE)
        best = max(best, (value, qualities[-1]))
        known.put(Observation(number, point, {RUNG: value}, "resting"))
    return {"best": best[1], "last": fmean(qualities[-LAST:])}


def main() -> None:
    """Search with every cap on every surface, and write it down."""
    parser = command_line(__doc__, "modelled.json")
    parser.add_argument("--trials", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=12)
    asked = parser.parse_args()
    found: dict[str, Any] = {"trials": asked.trials, "seeds": asked.seeds}
    with ProcessPoolExecutor() as pool:
        runs = {
            name: list(pool.map(partial(searched, cap, asked.trials), range(asked.seeds)))
            for name, cap in CAPS.items()
        }
    for name, each in runs.items():
        found[name] = {}
        for what in ("best", "last"):
            values = [run[what] for run in each]
            paired = [run[what] - full[what] for run, full in zip(each, runs["all"], strict=True)]
            found[name][what] = round(fmean(values), 4)
            found[name][f"{what}_less_all"] = [round(x, 4) for x in interval(paired)]
        print(name, found[name], flush=True)
    write(asked.out, found, "optuna")


if __name__ == "__main__":
    main()
