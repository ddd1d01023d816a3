"""Estimates with their intervals: a row each (a forest plot), or as lines over a setting."""

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
"""Inches that a row takes."""


@dataclass(frozen=True)
class Interval:
    """An estimate.

    Attributes:
        label: what of.
        value: in the unit of the axis.
        low: lower end.
        high: upper end.
        shown: whether it stands out, as one whose interval leaves 0 out does.
    """

    label: str
    value: float
    low: float
    high: float
    shown: bool = True


def forest(rows: Sequence[Interval], unit: str, alt: str) -> str:
    """An SVG: a row for each estimate, and a line at 0.

    Args:
        rows: from top to bottom.
        unit: of the axis.
        alt: for those who do not see it.
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
    """Estimates of one series by place on the axis: value, lower end, upper end.

    Attributes:
        label: its value of the setting that tells series apart.
        points: by place 0, 1, …; ends equal to the value draw no interval.
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
    """An SVG: a line for each series with its intervals, slightly apart so that they are seen.

    Args:
        series: told apart by shape and colour.
        ticks: places on the axis and what stands below each.
        setting: what the axis shows.
        told_apart: what series differ in.
        majority: the score of always giving the most frequent label, in %.
        measure: what is shown.
        alt: for those who do not see it.
        flagged: points ringed as not to be concluded upon: for the number of a series, its place.
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
