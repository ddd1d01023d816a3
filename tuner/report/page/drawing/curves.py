"""The figure of learning curves: a line per trial, vertical rungs, crosses at stopped trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tuner.report.page.drawing.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    SERIES,
    canvas,
    legend,
    majority_line,
    plain,
    score_label,
    svg,
)

Role = Literal["best", "control", "complete", "pruned", "other"]
LABELS: dict[Role, str] = {
    "pruned": "stopped or paused by ASHA (×)",
    "other": "failed or unfinished",
    "complete": "full budget",
    "control": "control",
    "best": "best, unconfirmed",
}
"""Labels of roles in the legend, in drawing order: later ones lie on top."""
_STYLES = {
    "pruned": (MUTED, 0.8, 0.55, "-"),
    "other": (MUTED, 0.8, 0.55, ":"),
    "complete": (SERIES[0], 1.0, 0.6, "-"),
    "control": (SERIES[1], 2.0, 1.0, "--"),
    "best": (ACCENT, 2.2, 1.0, "-"),
}


@dataclass(frozen=True)
class LearningCurve:
    """The learning curve of a trial.

    Attributes:
        role: the role that decides its style.
        pairs: the nominal rungs of its evaluations, in pairs.
        scores: the objective at each rung, in %.
    """

    role: Role
    pairs: tuple[int, ...]
    scores: tuple[float, ...]


def learning_curves(
    curves: Sequence[LearningCurve], rungs: Sequence[int], majority: float, objective: str, alt: str
) -> str:
    """Draw an SVG of the objective against the pairs seen.

    Args:
        curves: the trials' curves.
        rungs: the rungs in pairs.
        majority: objective of always giving the most frequent label, in %.
        objective: the name of the objective.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(5.2, 3.9)
    axis = figure.subplots()
    plain(axis)
    for rung in rungs:
        axis.axvline(rung, color=LINE, lw=0.8, ls=(0, (2, 2)), zorder=0)
    for role, label in LABELS.items():
        colour, width, alpha, dashes = _STYLES[role]
        first = True
        for curve in (each for each in curves if each.role == role):
            axis.plot(
                curve.pairs,
                curve.scores,
                color=colour,
                lw=width,
                alpha=alpha,
                ls=dashes,
                marker="o",
                ms=2.5 if width < 2 else 4,
                label=label if first else None,
            )
            if role == "pruned":
                ends = curve.pairs[-1:], curve.scores[-1:]
                axis.plot(*ends, "x", color=INK, ms=4.5, mew=0.9, alpha=0.8)
            first = False
    majority_line(axis, majority)
    sentences: list[int] = []
    for rung in reversed(rungs):  # only rungs with room for their number
        if not sentences or sentences[-1] - rung > rungs[-1] / 9:
            sentences.append(rung)
    axis.set_xticks(sentences, [f"{rung:,}" for rung in sentences])
    axis.set_xlim(left=0)
    axis.margins(x=0.03)
    axis.set_xlabel("pairs seen (dashed: rungs)")
    axis.set_ylabel(score_label(objective))
    legend(axis, columns=2)
    return svg(figure, alt)
