"""The section of a page on a study's nodes: what each of them did, as a line of characters."""

from __future__ import annotations

from itertools import pairwise

from tuner.blocks import Chart, Section, Words
from tuner.journal.records import StudyRecord
from tuner.report.timeline import Lane, short_names, timeline
from tuner.wording import clock

NAME, WIDTH, MAX_LANES = 10, 68, 12
"""Widths in columns of a node's name and of its line, and most nodes that get a line each."""
LEVELS = "·▁▂▃▄▅▆▇█"
"""Characters for the share of a node's busy GPUs, in eighths."""
BOOT, ABSENT = "░", " "


def nodes(study: StudyRecord) -> Section | None:
    """Return the timeline of the nodes and their idle time; None where nodes were not recorded."""
    found = timeline(study)
    if found is None:
        return None
    lanes = list(zip(short_names(found.lanes), found.lanes, strict=True))
    lines = [f"{name:<{NAME}}{_line(lane, found.end)}" for name, lane in lanes[:MAX_LANES]]
    if len(lanes) > MAX_LANES:
        lines.append(f"… and {len(lanes) - MAX_LANES} more nodes")
    lines += [
        f"{'':<{NAME}}0:00:00{clock(found.end):>{WIDTH - 7}}",
        f"█ {found.unit}s at work, · idle, {BOOT} booting",
    ]
    message = f"{found.in_words()}."
    return Section("Timeline", (Words(message), Chart(tuple(lines), message)), brief=True)


def _line(lane: Lane, end: float) -> str:
    """Return a node's time, from 0 to the last trial's end, as `WIDTH` characters."""
    edges = [end * column / WIDTH for column in range(WIDTH + 1)]
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
        return ABSENT
    if boot > there / 2:
        return BOOT
    return LEVELS[min(8, round(8 * busy / there))]


def _shared(begin: float, end: float, since: float, until: float) -> float:
    """Return the seconds that two intervals have in common."""
    return max(0.0, min(end, until) - max(begin, since))
