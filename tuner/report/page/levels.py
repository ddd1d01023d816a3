"""Positions of a setting's values on an axis: one for each value, or for ranges of many values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tuner.report.figure import LOGARITHMIC
from tuner.report.leaderboard import shown

MAX_VALUES = 7
"""Most distinct values that get a place each."""
RANGES = 5
"""Number of ranges where there are more values than `MAX_VALUES`."""
ABSENT = {"fusion.layer": "last alone"}
"""Labels for trials to which a setting does not apply."""
SYMBOLS = {"batch.effective_size": "B", "mix.cross_lingual": "β", "fusion.layer": "k"}
"""Symbols of the settings that papers abbreviate by a letter."""
FLOOR = 0.12
"""Height of the lowest value on an upright axis that reserves 0 for "does not apply"."""


def setting_label(setting: str) -> str:
    """Return a setting's name for axes and captions, with its symbol if it has one."""
    return f"{setting} ({SYMBOLS[setting]})" if setting in SYMBOLS else setting


@dataclass(frozen=True)
class Levels:
    """The places 0, 1, … of a setting's values.

    Attributes:
        name: the name of the setting.
        labels: labels of the places; "does not apply" comes first.
        edges: inner edges of the ranges, ascending; empty where every value has its own place.
        values: the value of each place that holds a single value; None means "does not apply".
    """

    name: str
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Levels:
        """Return the levels of the values that occur."""
        known = sorted({value for value in values if value is not None}, key=_order)
        absent = (ABSENT.get(name, "–"),) if None in values else ()
        if len(known) <= MAX_VALUES or any(isinstance(value, str) for value in known):
            each = (None,) * len(absent) + tuple(known)
            return cls(name, (*absent, *map(shown, known)), (), each)
        scale = _scale(name, known)
        low, high = scale(known[0]), scale(known[-1])
        ends = [low + (high - low) * part / RANGES for part in range(RANGES + 1)]
        back = math.exp if scale is math.log else float
        sentences = [f"{back(a):.2g}–{back(b):.2g}" for a, b in pairwise(ends)]
        return cls(name, (*absent, *sentences), tuple(ends[1:-1]), (None,) * len(absent))

    def place(self, value: Any) -> int:
        """Return the place of a value."""
        if value is None or not self.edges:
            return self.values.index(value)
        scaled = _scale(self.name, [value])(value)
        return len(self.values) + sum(scaled >= edge for edge in self.edges)


def heights(name: str, values: Sequence[Any]) -> tuple[list[float], Mapping[float, str]]:
    """Return heights of values on an upright axis from 0 to 1, and labels by height."""
    levels = Levels.of(name, values)
    if not levels.edges:
        steps = max(len(levels.labels) - 1, 1)
        ticks = {place / steps: label for place, label in enumerate(levels.labels)}
        return [levels.place(value) / steps for value in values], ticks
    known = [value for value in values if value is not None]
    scale = _scale(name, known)
    low, high = scale(min(known)), scale(max(known))
    bottom = FLOOR if None in values else 0.0

    def height(value: Any) -> float:
        if value is None:
            return 0.0
        return bottom + (1 - bottom) * (scale(value) - low) / (high - low)

    back = math.exp if scale is math.log else float
    ticks = {
        bottom + (1 - bottom) * part: f"{back(low + (high - low) * part):.2g}"
        for part in (0.0, 0.5, 1.0)
    }
    if None in values:
        ticks = {0.0: levels.labels[0], **ticks}
    return [height(value) for value in values], ticks


def _scale(name: str, known: Sequence[Any]) -> Callable[[Any], float]:
    return math.log if name in LOGARITHMIC and min(known) > 0 else float


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value
