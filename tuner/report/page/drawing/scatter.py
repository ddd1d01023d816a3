"""A dot for each trial: a score against a setting, series told apart by another setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.report.page.drawing.canvas import (
    MARKERS,
    SERIES,
    canvas,
    legend,
    majority_line,
    plain,
    svg,
)

SPREAD = 0.5
"""Share of the space between two places that the series at one place take."""


@dataclass(frozen=True)
class Dots:
    """A series.

    Attributes:
        label: its value of the setting that tells series apart.
        places: where its trials stand, each one of the ticks.
        scores: of its trials, in %.
    """

    label: str
    places: tuple[int, ...]
    scores: tuple[float, ...]


def scatter(
    series: Sequence[Dots],
    ticks: Mapping[int, str],
    setting: str,
    told_apart: str,
    majority: float,
    objective: str,
    alt: str,
) -> str:
    """An SVG.

    Args:
        series: told apart by shape and colour, and side by side.
        ticks: places 0, 1, … on the axis and what stands below each.
        setting: what the axis shows.
        told_apart: what series differ in.
        majority: objective of always giving the most frequent label, in %.
        objective: its name.
        alt: for those who do not see it.
    """
    figure = canvas(4.4, 3.6)
    axis = figure.subplots()
    plain(axis)
    for number, dots in enumerate(series):
        shift = SPREAD * ((number + 0.5) / len(series) - 0.5)
        axis.plot(
            [place + shift for place in dots.places],
            dots.scores,
            MARKERS[number % len(MARKERS)],
            color=SERIES[number % len(SERIES)],
            ms=5,
            alpha=0.85,
            mew=0,
            label=dots.label,
        )
    majority_line(axis, majority)
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.set_xlim(min(ticks) - 0.5, max(ticks) + 0.5)
    axis.set_xlabel(setting)
    axis.set_ylabel(f"{objective}, %")
    legend(axis, title=told_apart, columns=4)
    return svg(figure, alt)
