"""Clocks that are set back or forward: the journal's order stands, and nothing lasts less than 0 s.

The times of events are those of the driver's own clock, which may be wrong, and may be corrected.
"""

from __future__ import annotations

import time
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.examples import SETTINGS
from tests.records import facts
from tuner import timing
from tuner.journal.digest import Digest
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    NodeJoined,
    NodeLeft,
    Progressed,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)
from tuner.journal.history import History
from tuner.journal.ledger import Ledger
from tuner.journal.records import Evaluation, Failure, StudyRecord
from tuner.plan.pace import recorded_pace
from tuner.report.page.timeline import nodes
from tuner.report.timeline import timeline
from tuner.study.file import validate_study
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig
from tuner.terminal.summary import Summary

CONFIG = TrialConfig()
STUDY = validate_study({**SETTINGS, "storage": "/kept"}, "the test")


def evaluation(time: float, rung: int) -> Evaluation:
    return Evaluation(
        time=time,
        rung=rung,
        pairs_seen=rung,
        step=rung // 8,
        objective=0.6,
        select={"en": Scores(accuracy=0.6, f1=0.6, pairs=10)},
        train_loss=0.5,
        pairs_per_second=10.0,
        train_seconds=rung / 10,
        evaluation_seconds=0.1,
        peak_memory_mb=1.0,
        micro_plan=((0, 8),),
        precision="fp32",
    )


def events() -> list[Event]:
    """Two drivers: the first was killed, and one of its trials failed once; a second apart each."""
    t = 0.0  # set by `at`
    held = {"gpus": 1.0, "cpus": 1.0}
    created = [
        TrialCreated(time=t, number=n, origin="sampler", params={}, config=CONFIG, budget=900)
        for n in range(3)
    ]
    node = NodeJoined(time=t, node="n", cpus=2, gpus=2, head=False)
    failure = Failure(time=t, kind="lost", reason="gone")
    return [
        StudyCreated(
            time=t,
            name="small",
            id="a",
            settings=STUDY.model_dump(mode="json"),
            facts=facts(environment={"platform": "here"}),
            rungs=(100, 900),
        ),
        DriverStarted(time=t),
        node,
        created[0],
        TrialStarted(time=t, number=0, **held),
        TrialPlaced(time=t, number=0, nodes=("n",)),
        created[1],
        TrialStarted(time=t, number=1, **held),
        TrialPlaced(time=t, number=1, nodes=("n",)),
        Evaluated(time=t, number=0, evaluation=evaluation(t, 100)),
        Evaluated(time=t, number=0, evaluation=evaluation(t, 900)),
        TrialEnded(time=t, number=0, state="completed"),
        AttemptFailed(time=t, number=1, failure=failure),
        TrialStarted(time=t, number=1, **held),
        Progressed(time=t, pairs_seen={1: 50}),
        DriverStarted(time=t),
        node,
        TrialStarted(time=t, number=1, **held),
        TrialPlaced(time=t, number=1, nodes=("n",)),
        created[2],
        TrialStarted(time=t, number=2, **held),
        TrialPlaced(time=t, number=2, nodes=("n",)),
        Evaluated(time=t, number=1, evaluation=evaluation(t, 100)),
        TrialEnded(time=t, number=1, state="pruned"),
        Evaluated(time=t, number=2, evaluation=evaluation(t, 900)),
        TrialEnded(time=t, number=2, state="completed"),
        NodeLeft(time=t, node="n"),
        DriverEnded(time=t, state="completed"),
    ]


EVENTS = events()
SECOND = next(n for n in range(2, len(EVENTS)) if isinstance(EVENTS[n], DriverStarted))


def at(times: list[float]) -> list[Event]:
    return [
        event.model_copy(update={"time": time}) for event, time in zip(EVENTS, times, strict=True)
    ]


steps = st.one_of(
    st.just(1.0), st.just(0.0), st.floats(-1e6, 1e6), st.sampled_from([-3600.0, 3600.0, -1e-9])
)


@settings(max_examples=20)
@given(
    clock=st.lists(steps, min_size=len(EVENTS), max_size=len(EVENTS)),
    cut=st.integers(1, len(EVENTS)),
    now=st.none() | st.floats(0, 2e9),
)
def test_nothing_lasts_less_than_no_time(clock: list[float], cut: int, now: float | None) -> None:
    """Whatever the clock did, and wherever the journal ends: every reader has its numbers."""
    times = [1e9]
    for step in clock[1:]:
        times.append(max(0.0, times[-1] + step))
    check_readers(History.of(at(times)[:cut]).record(now), now or 0.0)


def check_readers(study: StudyRecord, now: float) -> None:
    assert study.seconds >= 0
    for trial in study.trials:
        assert trial.seconds >= 0 and trial.gpu_seconds >= 0
        assert trial.ended is None or trial.started is None or trial.started <= trial.ended
        for attempt in trial.placed:
            assert attempt.waiting <= attempt.placed <= attempt.ended
        for before, after in pairwise(trial.placed):
            assert before.ended <= after.placed
    assert all(node.joined <= node.left for node in study.nodes)
    assert Ledger.of(study).gpu_hours >= 0
    for working in (True, False):
        summary = Summary(Digest.of(study), "running", working, 9, study.seconds, now, {})
        left = summary.seconds_left
        assert left is None or left >= 0
        Console(file=StringIO(), width=100).print(summary)
    found = timeline(study)
    if found is not None:
        assert 0 <= found.start <= found.end
        assert 0 <= found.numbers["idle_share"] <= 1
        assert found.numbers["busy_hours"] >= 0 and found.numbers["held_hours"] >= 0
        assert all(load.seconds > 0 for load in found.loads)
    pace = recorded_pace(STUDY, "here", [study])
    if pace is not None:
        assert min(pace.startup, pace.between, pace.ramp, pace.boot, pace.per_set) >= 0


def durations(study: StudyRecord) -> list[object]:
    spent = [(trial.seconds, trial.gpu_seconds) for trial in study.trials]
    placed = [(a.placed - a.waiting, a.ended - a.placed) for t in study.trials for a in t.placed]
    return [study.seconds, spent, placed, [node.left - node.joined for node in study.nodes]]


def whole_but(place: int, step: float) -> list[float]:
    """A second between each two events; a driver's clock is set by `step` before one of them."""
    end = SECOND if place < SECOND else len(EVENTS)
    return [1e6 + n + (step if place <= n < end else 0.0) for n in range(len(EVENTS))]


def test_a_clock_that_is_set_back_costs_the_interval_in_which_it_was() -> None:
    """Later intervals last as long as they did."""
    for place in range(2, len(EVENTS)):
        if place == SECOND:
            continue
        exact = whole_but(place, -1.0)  # in this interval no time passes
        stepped = whole_but(place, -7200.0)
        expected = durations(History.of(at(exact)).record())
        assert durations(History.of(at(stepped)).record()) == expected, place


def test_a_driver_whose_clock_is_behind_has_durations_of_its_own() -> None:
    exact, behind = whole_but(SECOND, 0.0), whole_but(SECOND, -1e5)
    expected = durations(History.of(at(exact)).record())
    told = durations(History.of(at(behind)).record())
    assert told[0] == expected[0] and told[3] == expected[3]


def test_nothing_is_drawn_of_a_study_whose_clock_stood_still() -> None:
    study = History.of(at([5.0] * len(EVENTS))).record()
    check_readers(study, 5.0)
    assert nodes(study) is None


def test_a_process_counts_on_whatever_the_clock_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    before = timing.now()
    assert before == pytest.approx(time.time(), abs=60)
    monkeypatch.setattr(time, "time", lambda: 5.0)
    assert before <= timing.now() <= before + 60
