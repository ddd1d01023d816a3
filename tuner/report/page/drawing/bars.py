"""Bar charts: horizontal shares of a whole, and vertical groups by language with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.report.page.drawing.canvas import INK, SERIES, canvas, legend, plain, svg

BAR = 0.3
"""Height in inches that a horizontal bar takes."""


def lying_bars(values: Mapping[str, float], unit: str, alt: str) -> str:
    """Draw an SVG of horizontal bars from 0, the first on top, each with its number.

    Args:
        values: values by name.
        unit: the label of the axis.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(4.6, 0.75 + BAR * len(values))
    axis = figure.subplots()
    plain(axis, grid="x")
    places = range(len(values))
    axis.barh(places, list(values.values()), height=0.62, color=SERIES[0])
    for place, value in zip(places, values.values(), strict=True):
        axis.annotate(
            f"{value:.0f}",
            (value, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axis.set_yticks(places, list(values))
    axis.set_ylim(len(values) - 0.5, -0.5)
    axis.set_xlim(0, 1.12 * max([*values.values(), 1e-9]))
    axis.set_xlabel(unit)
    return svg(figure, alt)


@dataclass(frozen=True)
class LanguageSeries:
    """A series with a vertical bar for each language.

    Attributes:
        label: the name of the series.
        heights: accuracy in %, by language.
        ends: ends of the intervals by language; empty where there are none, as for published
            numbers.
        published: True to draw marks rather than bars.
    """

    label: str
    heights: Mapping[str, float]
    ends: Mapping[str, tuple[float, float]]
    published: bool = False


def language_bars(
    series: Sequence[LanguageSeries],
    languages: Sequence[str],
    majority: float,
    measure: str,
    alt: str,
) -> str:
    """Draw an SVG of bars by language, with the majority-class line.

    Args:
        series: series drawn as bars side by side, or as marks over them.
        languages: the languages in order.
        majority: accuracy of always giving the most frequent label, in %.
        measure: the name of the plotted measure.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(1.1 + 0.85 * max(len(languages), 4), 3.6)
    axis = figure.subplots()
    plain(axis)
    own = [each for each in series if not each.published]
    width = 0.8 / max(len(own), 1)
    for number, each in enumerate(own):
        shift = (number + 0.5) * width - 0.4
        for place, language in enumerate(languages):
            if language not in each.heights:
                continue
            height = each.heights[language]
            label = each.label if language == next(iter(each.heights)) else None
            colour = SERIES[number % len(SERIES)]
            axis.bar(place + shift, height, width * 0.9, color=colour, alpha=0.85, label=label)
            if language in each.ends:
                low, high = each.ends[language]
                error = [[height - low], [high - height]]
                axis.errorbar(
                    place + shift, height, error, color=INK, capsize=2, lw=1, label="_nolegend_"
                )
    for number, each in enumerate(mark for mark in series if mark.published):
        there = [language for language in languages if language in each.heights]
        axis.plot(
            [languages.index(language) for language in there],
            [each.heights[language] for language in there],
            "D_sv"[number % 4],
            ms=6 if number % 4 != 1 else 14,
            mew=1.6,
            mfc="none",
            color=SERIES[(len(own) + number) % len(SERIES)],
            label=each.label,
            zorder=4,
        )
    axis.axhline(majority, color=INK, ls=":", lw=1.4, label="most frequent label")
    axis.set_xticks(range(len(languages)), list(languages))
    axis.set_xlim(-0.6, len(languages) - 0.4)
    ends = [high for each in own for _, high in each.ends.values()]
    axis.set_ylim(0, 1.02 * max([100.0, *ends]))
    axis.set_ylabel(f"{measure}, %")
    legend(axis, columns=2)
    return svg(figure, alt)
