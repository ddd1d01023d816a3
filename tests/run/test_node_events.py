"""Nodes and placements in the journal: folded, refused where they do not add up, absent before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.search.examples import create
from tuner.errors import UserError
from tuner.journal.events import DriverStarted, Event, NodeJoined, NodeLeft, TrialPlaced
from tuner.journal.format import encode
from tuner.journal.journal import FILE, read_history
from tuner.journal.records import Evaluation, StudyRecord
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.timing import now

Make = Callable[[int, float], Evaluation]


def joined(node: str, time: float) -> Event:
    return NodeJoined(time=time, node=node, cpus=4, gpus=1, head=False)


def spans(record: StudyRecord) -> list[tuple[str, float, float]]:
    return [(span.node, span.joined, span.left) for span in record.nodes]


def test_nodes_stay_until_they_leave_or_their_driver_does(study: StudyConfig) -> None:
    with create(study) as journal:
        for event in (
            DriverStarted(time=10),
            joined("a", 11),
            joined("b", 12),
            NodeLeft(time=15, node="a"),
            joined("a", 18),
            DriverStarted(time=100),  # the one before was killed
            joined("b", 101),
        ):
            journal.append(event)
    record = read_history(study.folder).record(now=120)
    assert spans(record) == [("a", 11, 15), ("b", 12, 18), ("a", 18, 18), ("b", 101, 120)]
    assert record.nodes[0].gpus == 1 and record.nodes[0].cpus == 4


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([joined("a", 12)], "node a is already present"),
        ([NodeLeft(time=12, node="b")], "node b is not present"),
        ([DriverStarted(time=12), NodeLeft(time=13, node="a")], "node a is not present"),
        ([TrialPlaced(time=12, number=3, nodes=("a",))], "trial 3 was never created"),
    ],
)
def test_what_no_driver_writes_is_refused(
    study: StudyConfig, wrong: list[Event], told: str
) -> None:
    """The bytes are sound: what they say is not."""
    with create(study):
        pass
    assert isinstance(study.folder, Path)
    with (study.folder / FILE).open("ab") as file:
        for number, event in enumerate((DriverStarted(time=10), joined("a", 11), *wrong), start=1):
            file.write(encode(number, event))
    with pytest.raises(UserError, match=told):
        read_history(study.folder)


def test_an_attempt_is_where_and_when_it_was_and_how_it_ended(
    study: StudyConfig, evaluation: Make
) -> None:
    """Lost on one node, gone on with on another."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        baseline = driver.next_trial()
        assert baseline is not None
        driver.trial_started(0)
        driver.note(TrialPlaced(time=now(), number=0, nodes=("a", "b")))
        driver.attempt_failed(0, "lost", "its node was taken away")
        driver.note(TrialPlaced(time=now(), number=0, nodes=("late",)))  # under way it is not
        driver.next_trial()
        driver.trial_started(0)
        driver.note(TrialPlaced(time=2e9, number=0, nodes=("c",)))
        for rung in study.rungs:
            driver.evaluated(0, evaluation(rung, 0.9))
        live = driver.finish()
    first, second = live.trials[0].placed
    assert (first.nodes, first.outcome) == (("a", "b"), "lost")
    assert (second.nodes, second.outcome) == (("c",), "completed")
    assert first.cpus == study.resources.cpus_per_trial
    assert second.waiting == first.ended and second.placed == 2e9
    assert read_history(study.folder).record().trials == live.trials
