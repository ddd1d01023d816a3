"""The timeline of a study: which trials ran on which nodes, and how long GPUs were idle.

It is computed from the study's record alone. If no trial held a GPU, it counts CPUs instead. Times
are seconds of work: time without a running driver is left out, so an interruption appears as a
seam, not as a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal

from tuner.journal.node_spans import NodeSpan
from tuner.journal.records import Attempt, FailureKind, StudyRecord, TrialState

PROCESS_GONE: tuple[TrialState | FailureKind, ...] = ("lost", "error", "out_of_memory")
"""Outcomes of an attempt that ended its process: the next attempt there must start a new one."""

NOTICED_SECONDS = 60.0
"""Seconds within which Ray notices that a node is gone; it misses the node's trials sooner."""


@dataclass(frozen=True)
class Box:
    """A range of a node's GPUs (or CPUs) during an interval in seconds of work."""

    begin: float
    end: float
    low: float
    high: float


@dataclass(frozen=True)
class Bar(Box):
    """An attempt at a trial on a node, from its first step."""

    trial: int
    outcome: TrialState | FailureKind


@dataclass(frozen=True)
class Stay:
    """The presence of a node during one driver's run; times in seconds of work."""

    joined: float
    left: float
    bars: tuple[Bar, ...]
    boots: tuple[Box, ...]


@dataclass(frozen=True)
class Lane:
    """A node over the whole study; `units` is its number of GPUs (or CPUs)."""

    node: str
    units: float
    stays: tuple[Stay, ...]


@dataclass(frozen=True)
class Load:
    """The number of nodes in an interval, and of busy, booting and idle GPUs (or CPUs)."""

    begin: float
    end: float
    nodes: int
    busy: float
    boot: float
    idle: float

    @property
    def seconds(self) -> float:
        """The length of the interval."""
        return self.end - self.begin


@dataclass(frozen=True)
class Timeline:
    """A study's nodes and the trials that ran on them; times in seconds of work.

    *Boot* does not count as idle. A GPU boots while two conditions hold: a process must be started
    on it (its node has just joined, or the previous process was lost with its trial), and some
    trial waits to run. So a node that joins for a trial boots until the first step. All other time
    without training or evaluation is idle: from a trial's end to the first step of the next trial
    in the same process, the time of a node after its last trial, and all time of a node for which
    no trial waits. A lost node counts until its trials were lost.

    Attributes:
        unit: the counted unit: GPUs, or CPUs where no trial held a GPU.
        lanes: nodes that have such units, in the order in which they joined.
        seams: times at which one driver ended and the next began.
        start, end: the start of the first trial and the end of the last.
    """

    unit: Literal["GPU", "CPU"]
    lanes: tuple[Lane, ...]
    seams: tuple[float, ...]
    start: float
    end: float

    @property
    def loads(self) -> list[Load]:
        """The sums over all nodes, from the first trial's start to the last one's end."""
        changes: dict[float, list[float]] = {}  # in nodes, and in GPUs: all, busy and booting

        def change(
            begin: float, end: float, nodes: int, there: float, busy: float, boot: float
        ) -> None:
            begin, end = max(begin, self.start), min(end, self.end)
            for time, sign in ((begin, 1), (end, -1)) if begin < end else ():
                at = changes.setdefault(time, [0.0] * 4)
                at[:] = [a + sign * b for a, b in zip(at, (nodes, there, busy, boot), strict=True)]

        for lane in self.lanes:
            for stay in lane.stays:
                change(stay.joined, stay.left, 1, lane.units, 0, 0)
                for bar in stay.bars:
                    change(bar.begin, bar.end, 0, 0, bar.high - bar.low, 0)
                for box in stay.boots:
                    change(box.begin, box.end, 0, 0, 0, box.high - box.low)
        times = sorted(changes)
        sums = accumulate(
            (changes[time] for time in times),
            lambda now, then: [a + b for a, b in zip(now, then, strict=True)],
        )
        return [
            Load(begin, end, round(nodes), busy, boot, max(0.0, there - busy - boot))
            for (begin, end), (nodes, there, busy, boot) in zip(pairwise(times), sums, strict=False)
        ]

    @property
    def numbers(self) -> dict[str, Any]:
        """The totals for JSON: shares from 0 to 1, and hours of GPUs (or CPUs).

        `idle_share` is a share of the time from the first trial's start to the last one's end,
        excluding boots. `held_hours` run from a node's joining to its leaving or the study's end.
        """
        loads = self.loads
        seconds = sum(load.seconds for load in loads)
        busy, boot, idle = (
            sum(load.seconds * getattr(load, what) for load in loads) / 3600
            for what in ("busy", "boot", "idle")
        )
        held = sum(lane.units * (s.left - s.joined) for lane in self.lanes for s in lane.stays)
        return {
            "unit": self.unit,
            "idle_share": idle / (busy + idle) if busy + idle else 0.0,
            "busy_hours": busy,
            "boot_hours": boot,
            "idle_hours": idle,
            "held_hours": held / 3600,
            "nodes_peak": max((load.nodes for load in loads), default=0),
            "nodes_mean": sum(x.nodes * x.seconds for x in loads) / seconds if seconds else 0.0,
            "seconds": self.end - self.start,
        }

    def in_words(self) -> str:
        """Return the most important numbers on one line."""
        facts = self.numbers
        nodes = f"{facts['nodes_peak']} at most, {facts['nodes_mean']:.1f} in the mean"
        return (
            f"{facts['idle_share']:.1%} of {self.unit} time idle, boots excluded; nodes: {nodes}; "
            f"{facts['held_hours']:.2f} {self.unit}-hours"
        )


def timeline(study: StudyRecord) -> Timeline | None:
    """Return a study's timeline; None where its record has no nodes, placements or loads."""
    placed = [(trial.number, attempt) for trial in study.trials for attempt in trial.placed]
    if not (placed and study.nodes):
        return None
    unit: Literal["GPU", "CPU"] = "GPU" if any(a.gpus for _, a in placed) else "CPU"
    clock = _Clock(study.nodes)
    waiting = _united((clock(attempt.waiting), clock(attempt.placed)) for _, attempt in placed)
    lanes: dict[str, list[Stay]] = {}
    units: dict[str, float] = {}
    for span in study.nodes:
        units[span.node] = span.gpus if unit == "GPU" else span.cpus
        if units[span.node]:
            bars = _bars(span, units[span.node], placed, clock)
            stay = _stay(clock(span.joined), clock(span.left), units[span.node], bars, waiting)
            lanes.setdefault(span.node, []).append(stay)
    started = [trial.started for trial in study.trials if trial.started is not None]
    found = Timeline(
        unit=unit,
        lanes=tuple(Lane(node, units[node], tuple(stays)) for node, stays in lanes.items()),
        seams=clock.seams,
        start=clock(min(started)),
        end=clock(max(attempt.ended for _, attempt in placed)),
    )
    return found if found.loads else None  # its clocks may have stopped


def short_names(lanes: Sequence[Lane]) -> list[str]:
    """Return the first 8 characters of Ray's node ids, or the last 8 if those are ambiguous."""
    first, last = [lane.node[:8] for lane in lanes], [lane.node[-8:] for lane in lanes]
    return first if len({*first}) == len(lanes) else last


class _Clock:
    """Converts Unix time to seconds of work: seconds in which a driver saw some node."""

    def __init__(self, spans: Iterable[NodeSpan]) -> None:
        self._worked = _united((span.joined, span.left) for span in spans)
        self.seams = tuple(self(begin) for begin, _ in self._worked[1:])

    def __call__(self, time: float) -> float:
        return sum(max(0.0, min(time, end) - begin) for begin, end in self._worked)


def _united(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge intervals that overlap or touch, and return them in order."""
    united: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((begin, end))
    return united


def _bars(
    span: NodeSpan, units: float, placed: Iterable[tuple[int, Attempt]], clock: _Clock
) -> list[Bar]:
    """Return the attempts on a node, each on the lowest free GPUs."""
    here = [
        (number, attempt)
        for number, attempt in placed
        if span.node in attempt.nodes and span.joined <= attempt.placed <= span.left
    ]
    bars: list[Bar] = []
    for number, attempt in sorted(here, key=lambda pair: pair[1].placed):
        of_node = attempt.nodes.count(span.node) / len(attempt.nodes)
        share = min(units, of_node * (attempt.gpus or attempt.cpus))
        begin, end = clock(attempt.placed), clock(min(attempt.ended, span.left))
        low = _lowest(bars, begin, share, units)
        bars.append(Bar(begin, end, low, low + share, number, attempt.outcome))
    return bars


def _stay(
    joined: float,
    left: float,
    units: float,
    bars: Sequence[Bar],
    waiting: Iterable[tuple[float, float]],
) -> Stay:
    """Return a node's stay, with the intervals in which its GPUs booted."""
    last = max(bars, key=lambda bar: bar.end, default=None)
    if last is not None and last.outcome == "lost" and left - last.end < NOTICED_SECONDS:
        left = last.end
    missing: list[Box] = []  # GPUs without a process
    for number, bar in enumerate(bars):
        before = [b for b in bars[:number] if b.low < bar.high and b.high > bar.low]
        latest = max(before, key=lambda b: b.end, default=None)
        if latest is None or latest.outcome in PROCESS_GONE:
            since = joined if latest is None else latest.end
            missing.append(Box(since, bar.begin, bar.low, bar.high))
    edges = sorted({0.0, units, *(edge for bar in bars for edge in (bar.low, bar.high))})
    for low, high in pairwise(edges):
        if not any(bar.low < high and bar.high > low for bar in bars):
            missing.append(Box(joined, left, low, high))
    boots = [
        Box(max(begin, box.begin), min(end, box.end), box.low, box.high)
        for box in missing
        for begin, end in waiting
        if begin < box.end and end > box.begin
    ]
    return Stay(joined, left, tuple(bars), tuple(boots))


def _lowest(bars: Sequence[Bar], begin: float, share: float, units: float) -> float:
    """Return the lowest of `share` adjacent free GPUs; the last ones if clocks leave none free."""
    taken = [bar for bar in bars if bar.end > begin]
    for low in sorted({0.0, *(bar.high for bar in taken)}):
        free = all(bar.high <= low or bar.low >= low + share for bar in taken)
        if free and low + share <= units + 1e-9:
            return low
    return units - share
