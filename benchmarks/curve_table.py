"""Recorded learning curves, and the searches that are simulated on them.

A table is a JSON file, gzipped or not:

    {"space": {NAME: DISTRIBUTION, ...},          # as in a study's YAML, any names
     "levels": [355, 711, ..., 9600],             # budgets at which runs were scored, ascending
     "objective": ["en", "de", "fr"],             # a search sees the mean of these scores
     "warmup": 0.1,                               # share of a run that warms up; default: 0
     "min_pairs": 384,                            # first rung of the study; default: this tool's
     "runs": [{"params": {NAME: VALUE, ...},      # a point of the space
               "seed": 0,                         # runs of the same params are replicates
               "seconds": [0.4, 0.8, ...],        # of training, up to each level
               "scores": {"en": [0.55, ...]},     # higher is better, at each level
               "target": {"es": 0.71}}, ...]}     # at the last level; nothing is chosen by them

A proposal is answered with a run of the nearest params: the same words, and the nearest numbers,
each measured on its range. No search gets a run twice: trials whose settings differ a little do not
have the same curve. A table that said so would reward a search for looking everywhere, and punish
one that looks more closely where it is good. So a proposal gets the nearest run that is left.
"""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from tuner.study.space import Space
from tuner.study.space.distributions import Distribution, Float, Int, PowerOfTwo, spelt_out

DISTRIBUTION: TypeAdapter[Distribution] = TypeAdapter(Distribution)


@dataclass(frozen=True)
class Curve:
    """One run.

    Attributes:
        point: the number of its params in the table.
        values: the objective at each level.
        seconds: training time up to each level.
    """

    point: int
    values: Sequence[float]
    seconds: Sequence[float]


class Table:
    """The runs of one file.

    Args:
        path: the file.
        objective: names of scores in parts: a search sees the mean of each part's scores, and of
            several parts the least. Default: the file's own.

    Attributes:
        space: what is searched.
        levels: budgets at which runs were scored.
        warmup: the share of a run in which its learning rate rises.
        min_pairs: the first rung that the study's file gives; None if it gives none.
        units: the same as whole multiples of the first, the resource that peers count.
        truth: by point: the mean objective of its replicates at the last level.
        target: by point: the mean score on the targets there; empty without targets.
    """

    def __init__(self, path: Path, objective: Sequence[Sequence[str]] = ()) -> None:
        raw = path.read_bytes()
        found = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        # Not validated: the names may be those of another tool's settings.
        self.space = Space.model_construct(
            root={n: DISTRIBUTION.validate_python(spelt_out(v)) for n, v in found["space"].items()}
        )
        self.levels: list[int] = found["levels"]
        self.warmup: float = found.get("warmup", 0.0)
        self.min_pairs: int | None = found.get("min_pairs")
        self.units = [max(1, round(level / self.levels[0])) for level in self.levels]
        self.name = path.name.partition(".")[0]
        read = objective or [found["objective"]]
        self._points: list[dict[str, Any]] = []
        self._curves: list[list[Curve]] = []
        last: list[list[float]] = []
        targets: list[list[float]] = []
        numbers: dict[str, int] = {}
        for run in found["runs"]:
            key = json.dumps(run["params"], sort_keys=True)
            number = numbers.setdefault(key, len(numbers))
            if number == len(self._points):
                self._points.append(run["params"])
                self._curves.append([])
                last.append([])
                targets.append([])
            parts = [np.mean([run["scores"][name] for name in part], axis=0) for part in read]
            values = np.min(parts, axis=0).tolist()
            self._curves[number].append(Curve(number, values, run["seconds"]))
            last[number].append(values[-1])
            targets[number] += run.get("target", {}).values()
        self.truth = [float(np.mean(values)) for values in last]
        self.target = [float(np.mean(values)) for values in targets] if all(targets) else []
        self._nearest: dict[str, list[Curve]] = {}

    @property
    def seconds(self) -> float:
        """The mean time of a run to the last level."""
        return float(np.mean([c.seconds[-1] for curves in self._curves for c in curves]))

    def curve(self, params: Mapping[str, Any], chance: random.Random, drawn: set[int]) -> Curve:
        """Draw the nearest run that is left, one of the replicates at random.

        Args:
            params: a point of the space.
            chance: draws among replicates.
            drawn: the ids of the runs that this search has had, which grows; if it has had all with
                the same words, it gets the nearest again.
        """
        key = json.dumps(params, sort_keys=True)
        if key not in self._nearest:
            distances = [self._distance(params, point) for point in self._points]
            order = sorted(range(len(distances)), key=distances.__getitem__)
            self._nearest[key] = [
                curve
                for point in order
                if distances[point] < math.inf
                for curve in self._curves[point]
            ]
        curves = self._nearest[key]
        left = next((curve for curve in curves if id(curve) not in drawn), curves[0])
        alike = [c for c in self._curves[left.point] if id(c) not in drawn] or [left]
        found = chance.choice(alike)
        drawn.add(id(found))
        return found

    def regret(self, point: int, truth: Sequence[float]) -> float:
        """Return what a choice loses: 0 for the table's best point, 1 for its median one."""
        best, median = max(truth), float(np.median(truth))
        return (best - truth[point]) / (best - median)

    def _distance(self, params: Mapping[str, Any], point: Mapping[str, Any]) -> float:
        if params.keys() != point.keys():
            return math.inf
        return sum(_apart(self.space.root[name], params[name], point[name]) ** 2 for name in params)


def _apart(distribution: Distribution, first: Any, second: Any) -> float:
    """The distance of two values, as a share of their range; infinite for two words."""
    match distribution:
        case PowerOfTwo(low=low, high=high):
            low, high, first, second = map(math.log, (low, high, first, second))
        case Float(low=low, high=high, log=True):
            low, high, first, second = map(math.log, (low, high, first, second))
        case Float(low=low, high=high) | Int(low=low, high=high):
            pass
        case _:
            return 0.0 if first == second else math.inf
    return abs(first - second) / (high - low) if high > low else 0.0
