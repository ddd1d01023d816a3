"""The figure of a study's timeline: a lane for each node, and the sums over nodes below."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from tuner.journal.records import FailureKind, StudyRecord, TrialState
from tuner.report.timeline import Lane, Timeline, short_names
from tuner.storage.access import write
from tuner.storage.folders import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOOT, IDLE = "0.85", "#f7c97f"
COLOURS = {
    "completed": "#72b7a1",
    "pruned": "#a3c4e0",
    "paused": "#c7d9a8",
    "running": "#4c78a8",
    "interrupted": "#b3a7d0",
    "lost": "#e45756",
    "failed": "#7f2a3a",
}
"""Colours of trials by the outcome of the attempt; `failed` serves every other failure, too."""
LANE, HIGHEST = 0.26, 40.0
"""Height of a lane, and greatest height of all lanes, in inches."""
ROOM = 0.013
"""Least width of a bar, as a share of the axis, that has room for the trial's number."""
SCALES = ((3 * 3600, 3600, "hours"), (180, 60, "minutes"), (0, 1, "seconds"))
"""Units of the axis: the shortest duration in seconds, the seconds in a unit, and its name."""


def draw(study: StudyRecord, timeline: Timeline, path: Place) -> None:
    """Write an SVG.

    Args:
        study: the study, for its name.
        timeline: the result of `tuner.report.timeline.timeline`.
        path: the file to write.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # pyplot would look for a display

    high = min(LANE * len(timeline.lanes), HIGHEST)
    figure = Figure(figsize=(9.2, high + 2.3), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[high, 1.1])
    last = max(stay.left for lane in timeline.lanes for stay in lane.stays)
    scale, name = next((scale, name) for least, scale, name in SCALES if last >= least)
    for row, lane in enumerate(timeline.lanes):
        _lane(above, row, lane, timeline.end, scale, ROOM * last)
    above.set_yticks(range(len(timeline.lanes)), short_names(timeline.lanes), fontsize=7)
    above.set_ylim(len(timeline.lanes) - 0.4, -0.6)
    above.tick_params(length=0)
    _loads(below, timeline, scale)
    below.set_xlim(0, last / scale)
    below.set_xlabel(f"{name} that drivers worked")
    for axis in (above, below):
        for seam in timeline.seams:
            axis.axvline(seam / scale, color="0.4", ls=":", lw=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    outcomes = {_kind(b.outcome) for lane in timeline.lanes for s in lane.stays for b in s.bars}
    _legend(above, {kind: colour for kind, colour in COLOURS.items() if kind in outcomes})
    _legend(below, {"at work": COLOURS["running"], "booting": BOOT, "idle": IDLE})
    figure.suptitle(f"{study.name}: {timeline.in_words()}", fontsize=8, color="0.35")
    drawn = BytesIO()
    with rc_context({"svg.hashsalt": study.id}):  # equal records give equal files
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    write(path, drawn.getvalue())


def _lane(axis: Axes, row: int, lane: Lane, end: float, scale: float, room: float) -> None:
    """Draw a node as idle, and over it its boots and trials, each on its GPUs."""
    for stay in lane.stays:
        _box(axis, row, stay.joined, min(stay.left, end), scale, IDLE)
        for box in stay.boots:
            low, high = box.low / lane.units, box.high / lane.units
            _box(axis, row, box.begin, box.end, scale, BOOT, low, high)
        for bar in stay.bars:
            low, high = bar.low / lane.units, bar.high / lane.units
            _box(axis, row, bar.begin, bar.end, scale, COLOURS[_kind(bar.outcome)], low, high)
            if bar.end - bar.begin > room and high - low > 0.4:
                at = (bar.begin + bar.end) / 2 / scale, row + (low + high - 1) * 0.4
                axis.text(*at, str(bar.trial), fontsize=6, ha="center", va="center")


def _box(
    axis: Axes,
    row: int,
    begin: float,
    end: float,
    scale: float,
    colour: str,
    low: float = 0.0,
    high: float = 1.0,
) -> None:
    if end > begin:
        axis.barh(
            row - 0.4 + 0.8 * low,
            width=(end - begin) / scale,
            height=0.8 * (high - low),
            left=begin / scale,
            align="edge",
            color=colour,
            edgecolor="white",
            linewidth=0.3,
        )


def _loads(axis: Axes, timeline: Timeline, scale: float) -> None:
    """Draw the numbers of busy, booting and idle GPUs over time."""
    loads = timeline.loads
    edges = [load.begin / scale for load in loads] + [loads[-1].end / scale]
    floor = [0.0] * len(loads)
    for what, colour in (("busy", COLOURS["running"]), ("boot", BOOT), ("idle", IDLE)):
        top = [low + getattr(load, what) for low, load in zip(floor, loads, strict=True)]
        axis.stairs(top, edges, baseline=floor, fill=True, color=colour)
        floor = top
    axis.set_ylabel(f"{timeline.unit}s", fontsize=8)
    axis.set_ylim(bottom=0)


def _legend(axis: Axes, colours: dict[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    axis.legend(
        handles=handles, frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )


def _kind(outcome: TrialState | FailureKind) -> str:
    return outcome if outcome in COLOURS else "failed"
