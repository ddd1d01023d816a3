"""Settings whose best values lie at an end of their range, so that better ones may lie beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tuner.journal.records import SEARCHED, StudyRecord
from tuner.study.space.distributions import Distribution, Float, Int, PowerOfTwo
from tuner.study.trial import check_value

End = Literal["low", "high"]
NEAR = 0.05
"""The share of a continuous range at each of its ends that counts as the end."""
TOP = 3
"""One in so many complete trials, the best ones, is looked at."""


@dataclass(frozen=True)
class Edge:
    """A setting whose best values lie at an end of its range.

    Attributes:
        name: the setting, by dotted name.
        end: the end of the range.
        value: the value there.
        best: True if the best trial lies there.
        there, top: how many of the best third lie there, of how many that have the setting.
        wider: the value with which the range would reach further.
    """

    name: str
    end: End
    value: float
    best: bool
    there: int
    top: int
    wider: float

    @property
    def option(self) -> str:
        """The `--set` option with which a new study looks further."""
        return f"--set space.{self.name}.{self.end}={self.wider:g}"

    @property
    def sentence(self) -> str:
        """The finding in words."""
        end = "lowest" if self.end == "low" else "highest"
        which = "the best trial lies" if self.best else f"{self.there} of the best {self.top} lie"
        return f"{which} at the {end} {self.name}, {self.value:g}: better ones may lie beyond it"


def edges(study: StudyRecord) -> list[Edge]:
    """Return the edges of a search, by the complete trials that it chose among.

    An end beyond which no value is allowed, or the encoder has no layer, is none.
    """
    complete = [trial for trial in study.ranked() if trial.origin in SEARCHED]
    top = [trial.config.flat() for trial in complete[: math.ceil(len(complete) / TOP)]]
    found = []
    for name, distribution in study.settings.space.root.items():
        if not isinstance(distribution, Float | Int | PowerOfTwo):
            continue
        low, high = distribution.low, distribution.high
        if name == "seed" or low == high:
            continue
        values = [float(flat[name]) for flat in top if flat[name] is not None]
        best = top[0][name] if top else None
        ends: dict[End, float] = {"low": low, "high": high}
        for end, value in ends.items():
            there = sum(_is_at(distribution, each, value) for each in values)
            is_best = best is not None and _is_at(distribution, float(best), value)
            wider = _wider(distribution, end)
            most = len(values) >= TOP and there > len(values) / 2
            if (is_best or most) and _is_allowed(study, name, wider):
                found.append(Edge(name, end, value, is_best, there, len(values), wider))
    return found


def _is_at(distribution: Distribution, value: float, end: float) -> bool:
    if not isinstance(distribution, Float) or distribution.step is not None:
        return value == end
    low, high = distribution.low, distribution.high
    if distribution.log:
        low, high, value, end = map(math.log, (low, high, value, end))
    return abs(value - end) <= NEAR * (high - low)


def _wider(distribution: Float | Int | PowerOfTwo, end: End) -> float:
    """Return a further end: half as far again, or the next value of a range in steps."""
    low, high, sign = distribution.low, distribution.high, -1 if end == "low" else 1
    bound = low if end == "low" else high
    match distribution:
        case PowerOfTwo():
            return bound / 2 if end == "low" else 2 * bound
        case Float(log=True, step=None):
            return float(bound * (high / low) ** (sign / 2))
        case Float(step=None):
            return bound + sign * (high - low) / 2
        case Float(step=float(step)) | Int(step=step):
            return bound + sign * step
        case _:
            raise AssertionError(f"not a range: {distribution}")


def _is_allowed(study: StudyRecord, name: str, value: float) -> bool:
    if name == "fusion.layer" and value >= study.facts.encoder.layers:
        return False
    is_whole = not isinstance(study.settings.space.root[name], Float)
    if is_whole and value != int(value):  # half of a batch of one
        return False
    try:
        check_value(name, int(value) if is_whole else value)
    except ValueError:
        return False
    return True
