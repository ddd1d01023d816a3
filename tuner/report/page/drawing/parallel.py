"""The figure of parallel coordinates: an axis for each setting, a line for each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.blocks.palette import LEVELS
from tuner.report.page.drawing.canvas import (
    ACCENT,
    HEAT,
    INK,
    LINE,
    MUTED,
    PAPER,
    canvas,
    legend,
    svg,
)

FAINTEST = 3
"""The lightest shade in which a line is still visible."""


@dataclass(frozen=True)
class Upright:
    """A vertical axis.

    Attributes:
        name: the name of the setting.
        ticks: labels by height from 0 to 1.
    """

    name: str
    ticks: Mapping[float, str]


@dataclass(frozen=True)
class Path:
    """The line of a trial.

    Attributes:
        heights: the height on each axis, from 0 to 1; a path with fewer heights ends early.
        rank: 0 for the worst to 1 for the best trial at full budget; None for other trials.
    """

    heights: tuple[float, ...]
    rank: float | None


def parallel(uprights: Sequence[Upright], paths: Sequence[Path], alt: str) -> str:
    """Draw an SVG; the best trials lie on top.

    Args:
        uprights: the axes of the settings, and of the score last.
        paths: the trials' lines.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(8.4, 3.6)
    axis = figure.subplots()
    axis.set_facecolor("none")
    axis.spines[:].set_visible(False)
    axis.set_yticks([])
    axis.tick_params(length=0, labelcolor=INK, labelsize=8.5)
    stopped = [path for path in paths if path.rank is None]
    for number, path in enumerate(stopped):
        label = "not at full budget: no score" if number == 0 else None
        axis.plot(path.heights, color=MUTED, lw=0.6, alpha=0.45, ls="--", label=label)
    ranked = sorted(
        ((path.rank, path) for path in paths if path.rank is not None), key=lambda each: each[0]
    )
    for number, (rank, path) in enumerate(ranked):
        best = number == len(ranked) - 1
        shade = HEAT[FAINTEST + round(rank * (LEVELS - 1 - FAINTEST))]
        label = "best, unconfirmed" if best else "full budget: the stronger, the better"
        label = label if best or number == len(ranked) // 2 else "_nolegend_"
        colour, width = (ACCENT, 2.4) if best else (shade, 1.3)
        axis.plot(path.heights, color=colour, lw=width, label=label)
    for place, upright in enumerate(uprights):
        axis.plot([place, place], [0, 1], color=LINE, lw=1.2, zorder=0)
        for height, text in upright.ticks.items():
            axis.annotate(
                text,
                (place, height),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=7.5,
                color=INK,
                va="center",
                bbox={"boxstyle": "square,pad=0.1", "fc": PAPER, "ec": "none", "alpha": 0.8},
            )
    names = [upright.name for upright in uprights]
    axis.set_xticks(range(len(names)), names)
    axis.set_xlim(-0.12, len(names) - 0.6)
    axis.set_ylim(-0.06, 1.06)
    legend(axis, columns=3)
    return svg(figure, alt)
