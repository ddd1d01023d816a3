"""The drawing of two scores of every candidate, and of the Pareto front between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.report.page.drawing.canvas import ACCENT, INK, MUTED, SERIES, canvas, legend, plain, svg


def front(
    points: Mapping[str, tuple[float, float]],
    on_front: Sequence[str],
    chosen: str,
    axes: tuple[str, str],
    alt: str,
) -> str:
    """Draw an SVG of candidates by two scores, with the front as a line.

    Args:
        points: both scores of every candidate, in %.
        on_front: the candidates on the front, in the order of the line; each is named.
        chosen: the candidate that the objective chose.
        axes: the labels of the horizontal and the upright axis.
        alt: the text for readers who cannot see it.
    """
    figure = canvas(4.4, 3.6)
    axis = figure.subplots()
    plain(axis)
    others = [at for name, at in points.items() if name not in on_front]
    if others:
        axis.plot(*zip(*others, strict=True), "o", color=MUTED, ms=4, alpha=0.6, mew=0)
    line = [points[name] for name in on_front]
    axis.plot(*zip(*line, strict=True), "o-", color=SERIES[0], ms=5, lw=1.2, label="Pareto front")
    axis.plot(*points[chosen], "D", color=ACCENT, ms=7, mew=0, label=f"chosen: {chosen}")
    for name in on_front:
        axis.annotate(name, points[name], (4, 4), textcoords="offset points", fontsize=7, color=INK)
    axis.set_xlabel(axes[0])
    axis.set_ylabel(axes[1])
    legend(axis, columns=2)
    return svg(figure, alt)
