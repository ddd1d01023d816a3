"""Conversion of matplotlib figures to inline SVG whose colours are variables of the page's style.

One SVG serves the light and the dark scheme: figures are drawn in placeholder colours, and each is
replaced by `var(--…)`. Text stays text in the reader's font, so it can be searched and read aloud.
"""

from __future__ import annotations

import re
from hashlib import sha256
from html import escape
from io import StringIO
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from tuner.blocks.palette import LEVELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER, ACCENT = "#000001", "#000002", "#000003", "#000004", "#000005"
"""Placeholder colours of text, muted parts, grid lines, background and emphasised parts."""
SERIES = tuple(f"#0000a{number}" for number in range(7))
"""Placeholder colours of series."""
HEAT = tuple(f"#0000c{number:x}" for number in range(LEVELS))
ON_HEAT = tuple(f"#0000d{number:x}" for number in range(LEVELS))
"""Placeholder colours of the shades from lowest to highest value, and of text on each shade."""
MARKERS = "osD^vPX"
"""Markers of series, which distinguish them without colour."""
_NAMES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    ACCENT: "accent",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES)},
    **{colour: f"heat-{number}" for number, colour in enumerate(HEAT)},
    **{colour: f"on-heat-{number}" for number, colour in enumerate(ON_HEAT)},
}
POINTS = 72.0
"""Points per inch."""
LABEL = 40
"""The most characters in a line of an upright axis' label."""
ENLARGED = 1.25
"""Greatest factor by which the page enlarges a figure."""


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of the given size in inches."""
    from matplotlib.figure import Figure  # pyplot would look for a display

    return Figure(figsize=(width, height), layout="constrained")


def plain(axis: Axes, grid: Literal["x", "y", "none"] = "y") -> None:
    """Style an axis: no box, muted ticks, fine grid lines of axis `grid` (x, y or none)."""
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(LINE)
    axis.tick_params(colors=MUTED, labelcolor=INK, labelsize=8, length=3, width=0.8)
    axis.xaxis.label.set(color=INK, size=9)
    axis.yaxis.label.set(color=INK, size=9)
    if grid != "none":
        axis.grid(axis=grid, color=LINE, lw=0.6)
    axis.set_axisbelow(True)


def score_label(objective: str) -> str:
    """Return an axis label for scores: the objective in words, in lines that fit beside the axis.

    The explanation in brackets is left out; captions have it.
    """
    return fill(f"{objective.partition(' (')[0]}, %", LABEL)


def majority_line(axis: Axes, score: float) -> None:
    """Draw a labelled line at the score of always giving the most frequent label."""
    axis.axhline(score, color=MUTED, ls=":", lw=1.3)
    axis.annotate(
        "most frequent label",
        (0.0, score),
        xycoords=("axes fraction", "data"),
        xytext=(3, 2),
        textcoords="offset points",
        fontsize=7.5,
        color=MUTED,
    )


def legend(axis: Axes, title: str | None = None, columns: int = 1) -> None:
    """Draw a legend above the axis, where it hides nothing, if anything is labelled."""
    handles, labels = axis.get_legend_handles_labels()
    if not labels:
        return
    made = axis.legend(
        handles,
        labels,
        title=title,
        ncols=columns,
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        labelcolor=INK,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        columnspacing=1.2,
        handletextpad=0.5,
        alignment="left",
    )
    made.get_title().set_color(INK)


def svg(figure: Figure, alt: str) -> str:
    """Return the figure as an `<svg>` element; equal figures give equal text.

    Args:
        figure: a figure drawn in this module's placeholder colours alone.
        alt: the text for readers who cannot see it.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)  # a name may contain dollar signs
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)  # or savefig lays everything out again
    written = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tuner"}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    whole = written.getvalue()
    body = whole[whole.index("<svg") :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"#0000[0-9a-f]{2}\b", lambda found: f"var(--{_NAMES[found[0]]})", body)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", body)
    body = _own_names(body)
    width, height = (POINTS * inches for inches in figure.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}" '
        f'style="max-width: {ENLARGED * width / 12:.1f}rem">'
    )
    return head + re.sub(r"\s*\n\s*", "\n", body[body.index(">") + 1 :]).strip()


def _own_names(body: str) -> str:
    """Make ids unique within a page: prefix those that are referred to, and drop the others."""
    used = set(re.findall(r"(?:url\(#|href=\"#)([\w-]+)", body))
    prefix = f"f{sha256(body.encode()).hexdigest()[:8]}-"

    def renamed(found: re.Match[str]) -> str:
        return f' id="{prefix}{found[1]}"' if found[1] in used else ""

    body = re.sub(r'\s+id="([^"]*)"', renamed, body)
    return re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}", body)
