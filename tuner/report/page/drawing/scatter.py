"""The scatter plot of scores against a setting, with series by another setting."""

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
    score_label,
    svg,
)

SPREAD = 0.5
"""Share of the gap between two places that the series at one place occupy."""


@dataclass(frozen=True)
class Dots:
    """A series of dots, one for each trial.

    Attributes:
        label: the series' value of the setting in which series differ.
        places: the tick at which each trial stands.
        scores: the score of each trial, in %.
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
    """Draw an SVG of dots.

    Args:
        series: the series, drawn side by side with different markers and colours.
        ticks: places 0, 1, … on the axis and the label below each.
        setting: the label of the horizontal axis.
        told_apart: the setting in which series differ.
        majority: objective of always giving the most frequent label, in %.
        objective: the name of the objective.
        alt: the text for readers who cannot see it.
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
    axis.set_ylabel(score_label(objective))
    legend(axis, title=told_apart, columns=4)
    return svg(figure, alt)
