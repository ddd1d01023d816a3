"""Figures of estimates with intervals: a row each (a forest plot), or lines over a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.report.page.drawing.canvas import (
    INK,
    MARKERS,
    MUTED,
    SERIES,
    canvas,
    legend,
    majority_line,
    plain,
    svg,
)

ROW = 0.3
"""Height in inches that a row takes."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        label: the name of the estimate.
        value: the value in the unit of the axis.
        low: lower end of the interval.
        high: upper end of the interval.
        shown: whether to emphasise it, for example because its interval excludes 0.
    """

    label: str
    value: float
    low: float
    high: float
    shown: bool = True


def forest(rows: Sequence[Interval], unit: str, alt: str) -> str:
    """Draw an SVG with a row for each estimate and a line at 0.

    Args:
        rows: the estimates from top to bottom.
        unit: the label of the axis.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(4.4, 0.75 + ROW * len(rows))
    axis = figure.subplots()
    plain(axis, grid="x")
    axis.axvline(0, color=MUTED, lw=1.2)
    for place, row in enumerate(rows):
        colour = SERIES[0] if row.shown else MUTED
        axis.plot([row.low, row.high], [place, place], color=colour, lw=1.8)
        fill = colour if row.shown else "none"
        axis.plot(row.value, place, "o", color=colour, ms=6, mfc=fill, mew=1.4)
    axis.set_yticks(range(len(rows)), [row.label for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.margins(x=0.08)
    axis.set_xlabel(unit)
    return svg(figure, alt)


@dataclass(frozen=True)
class Course:
    """The estimates of one series.

    Attributes:
        label: the series' value of the setting in which series differ.
        points: value, lower end and upper end by place 0, 1, … on the axis; ends equal to the
            value draw no interval.
    """

    label: str
    points: Mapping[int, tuple[float, float, float]]


def courses(
    series: Sequence[Course],
    ticks: Mapping[int, str],
    setting: str,
    told_apart: str,
    majority: float,
    measure: str,
    alt: str,
    flagged: Mapping[int, int] | None = None,
) -> str:
    """Draw an SVG with a line and intervals for each series, slightly shifted to stay visible.

    Args:
        series: the series, drawn with different markers and colours.
        ticks: places on the axis and the label below each.
        setting: the label of the horizontal axis.
        told_apart: the setting in which series differ.
        majority: the score of always giving the most frequent label, in %.
        measure: the label of the vertical axis.
        alt: the text for readers who cannot see it.
        flagged: points that get a ring, since no conclusion may rest on them: the place by the
            number of the series.
    """
    figure = canvas(4.4, 3.6)
    axis = figure.subplots()
    plain(axis)
    for number, course in enumerate(series):
        colour = SERIES[number % len(SERIES)]
        shift = 0.3 * ((number + 0.5) / len(series) - 0.5)
        places = sorted(course.points)
        values = [course.points[place][0] for place in places]
        error = [
            [course.points[place][0] - course.points[place][1] for place in places],
            [course.points[place][2] - course.points[place][0] for place in places],
        ]
        axis.errorbar(
            [place + shift for place in places],
            values,
            error if any(error[0]) or any(error[1]) else None,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            ms=5,
            capsize=2.5,
            lw=1.3,
            label=course.label,
        )
        if flagged and number in flagged:
            place = flagged[number]
            axis.plot(
                place + shift, course.points[place][0], "o", ms=12, mfc="none", mew=1.4, color=INK
            )
    majority_line(axis, majority)
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.set_xlim(min(ticks) - 0.5, max(ticks) + 0.5)
    axis.set_xlabel(setting)
    axis.set_ylabel(measure)
    if len(series) > 1:
        legend(axis, title=told_apart, columns=5)
    return svg(figure, alt)
