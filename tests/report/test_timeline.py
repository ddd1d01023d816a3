"""The timeline: computed by hand for made-up journals, as a text, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.records import SETTINGS, facts
from tuner.blocks import Chart, Words
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    Event,
    NodeJoined,
    NodeLeft,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)
from tuner.journal.history import History
from tuner.journal.records import Failure, FailureKind, StudyRecord, TrialState
from tuner.report.page.timeline import nodes
from tuner.report.timeline import Timeline, timeline
from tuner.report.timeline_figure import draw
from tuner.study.trial import TrialConfig

A, B, HEAD = "a" * 56, "b" * 56, "f" * 56


def joined(time: float, node: str, gpus: float = 1, cpus: float = 2) -> Event:
    return NodeJoined(time=time, node=node, cpus=cpus, gpus=gpus, head=node == HEAD)


def left(time: float, node: str) -> Event:
    return NodeLeft(time=time, node=node)


def created(time: float, number: int) -> Event:
    config = TrialConfig.from_flat({})
    return TrialCreated(
        time=time, number=number, origin="sampler", params={}, config=config, budget=1
    )


def began(time: float, number: int, *nodes: str, gpus: float = 1, cpus: float = 1) -> list[Event]:
    """A trial is started, and half a second later placed."""
    return [
        TrialStarted(time=time - 0.5, number=number, gpus=gpus, cpus=cpus),
        TrialPlaced(time=time, number=number, nodes=nodes),
    ]


def failed(time: float, number: int, kind: FailureKind) -> Event:
    failure = Failure(time=time, kind=kind, reason="?")
    return AttemptFailed(time=time, number=number, failure=failure)


def ended(time: float, number: int, state: TrialState = "completed") -> Event:
    return TrialEnded(time=time, number=number, state=state)


def record(*events: Event | list[Event]) -> StudyRecord:
    """A study whose driver starts at 0 s with nothing but a head without GPUs."""
    begin: list[Event] = [
        StudyCreated(time=0, name="s", id="x", settings=SETTINGS, facts=facts(), rungs=(1,)),
        DriverStarted(time=0),
        joined(0, HEAD, gpus=0),
    ]
    flat = [e for event in events for e in (event if isinstance(event, list) else [event])]
    return History.of([*begin, *flat]).record()


def of(*events: Event | list[Event]) -> Timeline:
    found = timeline(record(*events))
    assert found is not None
    return found


def hours(numbers: dict[str, float], *names: str) -> list[float]:
    """In seconds, as one counts by hand."""
    return [pytest.approx(3600 * numbers[f"{name}_hours"], abs=1e-6) for name in names]


TWO_NODES = (
    [created(0, number) for number in range(4)],
    joined(10, A),
    joined(14, B),
    began(15, 0, A),
    began(20, 1, B),
    ended(45, 0),
    began(46, 2, A),  # the process is there: a second is lost
    ended(60, 1, "pruned"),
    left(63, B),
    ended(86, 2),
    DriverEnded(time=90, state="completed"),
)


def test_by_hand() -> None:
    """From 14.5 s, the first start, to 86 s; A is at work 30 + 40 s, B 40 s.

    Booting: A from 14.5 to 15 and B to 20. Idle: a second on A, three on B.
    """
    told = of(*TWO_NODES).numbers
    assert hours(told, "busy", "boot", "idle") == [70 + 40, 0.5 + 5.5, 1 + 3]
    assert told["idle_share"] == pytest.approx(4 / 114)
    assert told["nodes_peak"] == 2
    assert told["nodes_mean"] == pytest.approx((71.5 + 48.5) / 71.5)
    assert hours(told, "held") == [80 + 49]
    assert told["unit"] == "GPU"


def test_a_lost_process_is_started_again_and_that_is_no_idleness() -> None:
    """From the loss to the first step; of a trial that failed in a sound worker it is idle."""
    lost = of(
        created(0, 0), joined(1, A), began(10, 0, A), failed(20, 0, "lost"), began(26, 0, A),
        ended(40, 0),
    ).numbers  # fmt: skip
    assert hours(lost, "busy", "boot", "idle") == [24, 0.5 + 6, 0]
    told = of(
        created(0, 0), created(0, 1), joined(1, A), began(10, 0, A), failed(20, 0, "non_finite"),
        ended(20, 0, "failed"), began(26, 1, A), ended(40, 1),
    ).numbers  # fmt: skip
    assert hours(told, "busy", "boot", "idle") == [24, 0.5, 6]


def test_a_free_gpu_boots_only_from_when_a_trial_waits() -> None:
    """Two GPUs; the second trial is created at 30 s, and takes 5 s to begin."""
    told = of(
        joined(0, A, gpus=2), created(0, 0), began(10, 0, A), created(30, 1), began(35, 1, A),
        ended(40, 0), ended(40, 1),
    ).numbers  # fmt: skip
    assert hours(told, "busy", "boot", "idle") == [30 + 5, 2 * 0.5 + 5, 20]


def test_a_node_for_which_no_trial_waits_is_idle() -> None:
    """The one trial waits until its first step, at 10 s; the other node never has one."""
    told = of(joined(0, A), joined(0, B), created(0, 0), began(10, 0, A), ended(20, 0)).numbers
    assert hours(told, "busy", "boot", "idle") == [10, 0.5 + 0.5, 10]


def test_a_node_is_lost_and_another_comes_in_its_place() -> None:
    """Lost at 20 s, as its trial shows; Ray says so at 32 s. The other boots from 40 to 45 s."""
    found = of(
        created(0, 0), joined(1, A), began(10, 0, A), failed(20, 0, "lost"), left(32, A),
        joined(40, B), began(45, 0, B), ended(60, 0),
    )  # fmt: skip
    assert hours(found.numbers, "busy", "boot", "idle") == [10 + 15, 0.5 + 5, 0]
    assert found.lanes[0].stays[0].left == 20


def test_trials_share_a_gpu_and_are_spread_over_nodes() -> None:
    halves = of(
        created(0, 0), created(0, 1), joined(1, A), began(10, 0, A, gpus=0.5),
        began(12, 1, A, gpus=0.5), ended(20, 0), ended(20, 1),
    )  # fmt: skip
    (lane,) = halves.lanes
    assert [(bar.low, bar.high) for bar in lane.stays[0].bars] == [(0, 0.5), (0.5, 1)]
    assert hours(halves.numbers, "busy", "boot", "idle") == [5 + 4, 0.5 + 1, 0]
    spread = of(
        created(0, 0), joined(1, A, gpus=2), joined(1, B), began(10, 0, A, A, B, gpus=3),
        ended(20, 0),
    )  # fmt: skip
    assert hours(spread.numbers, "busy", "boot", "idle") == [30, 1.5, 0]


def test_of_a_study_on_cpus_their_time_is_told() -> None:
    """The head's two CPUs, one of them never used."""
    told = of(created(0, 0), began(10, 0, HEAD, gpus=0), ended(20, 0)).numbers
    assert told["unit"] == "CPU"
    assert hours(told, "busy", "boot", "idle") == [10, 2 * 0.5, 10]


@pytest.mark.parametrize("killed", [True, False])
def test_an_interruption_is_a_seam_and_no_node_is_counted_twice(killed: bool) -> None:
    """The driver ends, or is seen for the last time, at 20 s; the next one works from 1,000 s."""
    stop: Sequence[Event] = [joined(20, B, gpus=0)] if killed else [
        ended(20, 0, "interrupted"), DriverEnded(time=20, state="interrupted"),
    ]  # fmt: skip
    found = of(
        created(0, 0), joined(1, A), began(10, 0, A), list(stop),
        DriverStarted(time=1000), joined(1000, HEAD, gpus=0), joined(1000, A), began(1007, 0, A),
        ended(1017, 0),
    )  # fmt: skip
    (lane,) = found.lanes
    assert [(stay.joined, stay.left) for stay in lane.stays] == [(1, 20), (20, 37)]
    assert found.seams == (20,)
    assert [bar.outcome for stay in lane.stays for bar in stay.bars] == ["interrupted", "completed"]
    told = found.numbers
    assert told["nodes_peak"] == 1 and told["nodes_mean"] == pytest.approx(1)
    assert hours(told, "busy", "boot", "idle") == [20, 0.5 + 7, 0]


def test_a_study_under_way_is_told_up_to_its_last_word() -> None:
    told = of(created(0, 0), joined(1, A), began(10, 0, A), joined(30, B, gpus=0))
    assert told.end == 30
    assert told.lanes[0].stays[0].bars[0].outcome == "running"


def test_old_journals_have_none() -> None:
    """They say neither which nodes there were nor where trials ran."""
    old = [created(0, 0), TrialStarted(time=1, number=0), ended(5, 0)]
    assert timeline(record(*old)) is None
    assert timeline(record()) is None


def test_as_a_text() -> None:
    """Eighty columns: a line a node, a character 1.26 s; what most of it was, is shown."""
    lines = shown(record(*TWO_NODES))
    assert all(len(line) <= 78 for line in lines[1:])
    first, second = [line for line in lines if line[:8] in (A[:8], B[:8])]
    assert first[10:].split() == ["░░░░" + "█" * 23 + "▅▅" + "█" * 31]
    assert second[10:].split() == ["░░░░░" + "█" * 31 + "▄··"]
    assert "3.5% of GPU time idle" in lines[0]
    assert shown(record()) == []


def test_as_a_figure(tmp_path: Path) -> None:
    """It is an image, of the same bytes for the same record."""
    study = record(*TWO_NODES)
    found = timeline(study)
    assert found is not None
    for place in ("1", "2"):
        draw(study, found, tmp_path / place / "timeline.svg")
    drawn = (tmp_path / "1" / "timeline.svg").read_bytes()
    assert drawn == (tmp_path / "2" / "timeline.svg").read_bytes()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


def shown(study: StudyRecord) -> list[str]:
    """The sentence about it, and the lines of its chart."""
    section = nodes(study)
    if section is None:
        return []
    words, chart = section.blocks
    assert isinstance(words, Words) and isinstance(chart, Chart) and chart.alt == words.text
    return [words.text, *chart.lines]
