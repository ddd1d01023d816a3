"""The timeline in the terminal, a line for each node, and the figure that goes with it."""

from __future__ import annotations

from itertools import pairwise

from rich.console import Console

from tuner.journal.records import StudyRecord
from tuner.report.timeline import Lane, Timeline, short_names, timeline
from tuner.report.timeline_figure import draw
from tuner.storage.folders import Place
from tuner.terminal.progress import MARGIN, clock

WIDEST, MOST_LANES = 100, 12
"""Greatest width in columns, and most nodes that get a line each."""
LEVELS = "·▁▂▃▄▅▆▇█"
"""Characters for the share of a node's busy GPUs, in eighths."""
BOOT, AWAY = "░", " "


def show_timeline(study: StudyRecord, path: Place, console: Console) -> None:
    """Print the timeline of the nodes and their idle time, and write the figure.

    Do nothing if the study's journal predates the recording of nodes.

    Args:
        study: the study's record.
        path: the file to write the figure to.
        console: the console to print on.
    """
    found = timeline(study)
    if found is None:
        return
    console.print()
    _show(found, console)
    draw(study, found, path)
    console.print(f"\nfigure: {path}", highlight=False, soft_wrap=True)


def _show(timeline: Timeline, console: Console) -> None:
    lanes = list(zip(short_names(timeline.lanes), timeline.lanes, strict=True))
    width = min(console.width - MARGIN, WIDEST) - 10
    console.print(timeline.in_words(), highlight=False)
    lines = [
        "",
        *(f"{name:<10}{_line(lane, timeline.end, width)}" for name, lane in lanes[:MOST_LANES]),
    ]
    if len(lanes) > MOST_LANES:
        lines.append(f"… and {len(lanes) - MOST_LANES} more nodes")
    lines += [f"{'':<10}0:00:00{clock(timeline.end):>{width - 7}}"]
    lines += [f"█ {timeline.unit}s at work, · idle, {BOOT} booting"]
    for line in lines:
        console.print(line, highlight=False, markup=False, no_wrap=True, overflow="crop")


def _line(lane: Lane, end: float, width: int) -> str:
    """Return a node's time, from 0 to the last trial's end, as `width` characters."""
    edges = [end * column / width for column in range(width + 1)]
    return "".join(_character(lane, begin, end) for begin, end in pairwise(edges))


def _character(lane: Lane, begin: float, end: float) -> str:
    """Return the character for what a node did most of the time between two moments."""
    there = busy = boot = 0.0
    for stay in lane.stays:
        there += lane.units * _shared(begin, end, stay.joined, stay.left)
        for bar in stay.bars:
            busy += (bar.high - bar.low) * _shared(begin, end, bar.begin, bar.end)
        for box in stay.boots:
            boot += (box.high - box.low) * _shared(begin, end, box.begin, box.end)
    if there <= lane.units * (end - begin) / 2:
        return AWAY
    if boot > there / 2:
        return BOOT
    return LEVELS[min(8, round(8 * busy / there))]


def _shared(begin: float, end: float, since: float, until: float) -> float:
    """Return the seconds that two intervals have in common."""
    return max(0.0, min(end, until) - max(begin, since))
