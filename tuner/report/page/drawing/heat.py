"""A heat map: a number in each cell, shaded from the lowest to the highest value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.blocks.palette import LEVELS
from tuner.report.page.drawing.canvas import HEAT, MUTED, ON_HEAT, canvas, plain, svg

CELL = (0.72, 0.5)
"""Width and height of a cell in inches."""
Key = tuple[int, int]


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Mapping[Key, float],
    notes: Mapping[Key, str],
    across: str,
    down: str,
    alt: str,
) -> str:
    """Draw an SVG of a heat map; cells without a value are empty.

    Args:
        rows: names of rows, from top to bottom.
        columns: names of columns, from left to right.
        values: values in %, by row and column.
        notes: small print below a value, or alone in an empty cell.
        across: the label of the horizontal axis.
        down: the label of the vertical axis.
        alt: the text for readers who cannot see it.
    """
    from matplotlib.patches import Rectangle

    width, height = CELL
    figure = canvas(1.0 + width * len(columns), 0.75 + height * len(rows))
    axis = figure.subplots()
    plain(axis, grid="none")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    least, most = min(values.values(), default=0.0), max(values.values(), default=1.0)
    for row in range(len(rows)):
        for column in range(len(columns)):
            key, ink = (row, column), MUTED
            noted = notes.get(key, "")
            if key in values:
                share = (values[key] - least) / (most - least) if most > least else 0.5
                level = round(share * (LEVELS - 1))
                ink = ON_HEAT[level]
                box = Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, color=HEAT[level], lw=0)
                axis.add_patch(box)
                high = row - 0.12 if noted else row
                axis.text(column, high, f"{values[key]:.1f}", color=ink, **_centred(8.5))
            if noted:
                low = row + 0.24 if key in values else row
                axis.text(column, low, noted, color=ink, **_centred(6.5))
    axis.set_xticks(range(len(columns)), list(columns))
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(across)
    axis.set_ylabel(down)
    return svg(figure, alt)


def _centred(size: float) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "fontsize": size}
