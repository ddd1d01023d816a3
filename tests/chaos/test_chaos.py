"""A small share of `make chaos`, and that an interruption leaves no trace in what a study does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from tests.chaos.clock import StepClock
from tests.chaos.endings import KillHead, StopDriver, StopGroup
from tests.chaos.faults import Fault, KillDriver, KillWorker, Kind, TearNewest
from tests.chaos.play import play
from tests.chaos.reference import Undisturbed
from tests.chaos.server import KillServer
from tests.chaos.study import Driver, Place, Study
from tests.chaos.tally import Tally, of

pytestmark = pytest.mark.slow

ONE_AT_A_TIME = (
    "resources.max_concurrent_trials=1",
    "sampler.kind=tpe",
    "sampler.startup_trials=2",
    "budget.pairs_per_trial=3200",
    "scheduler.min_pairs=800",
)
"""Proposals then depend on the seed and on what came before, and on nothing else."""


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.close(keep=False)


class Mixed(Kind):
    """One kind after the other."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        super().__init__(Random(0))
        self._kinds = kinds
        self._done = 0

    def before_driver(self) -> None:
        for kind in self._kinds:
            kind.before_driver()

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        fault = self._kinds[self._done].strike(study, driver)
        self._done += fault is not None
        return fault


def assert_nothing_is_lost(found: Tally) -> None:
    assert found.wrong == []
    assert found.finished == found.expected


def test_whatever_dies_nothing_is_lost_repeated_or_counted_twice(place: Place) -> None:
    """A worker, the machine with a torn write, and the driver, in the life of one study."""
    rng = Random(1)
    kinds = [KillWorker(rng), TearNewest(rng, 14), KillDriver(rng, 20)]
    study = Study(place, "mixed")
    found, faults = play(study, Mixed(kinds), len(kinds), print)
    assert len(faults) == len(kinds)
    assert Undisturbed().wrong(study.events()) == []
    assert_nothing_is_lost(found)


def test_what_ends_a_study_from_outside_ends_it_in_order(place: Place) -> None:
    """A signal to all of its process group; the end of Ray's raylet; then its clocks step."""
    rng = Random(3)
    clock = StepClock(rng, place, 27)
    kinds = [StopGroup(rng, 9), KillHead(rng, 18, ["raylet"]), clock]
    study = Study(place, "ended")
    found, faults = play(study, Mixed(kinds), len(kinds), print)
    assert len(faults) == len(kinds)
    assert [driver.wait() for driver in study.drivers] == [130, 130, 0]
    assert [kind.after_study(study, study.drivers[-1]) for kind in kinds] == [""] * len(kinds)
    assert of(study.events(), "attempt_failed") == []
    assert Undisturbed().wrong(study.events()) == []
    assert_nothing_is_lost(found)


def test_a_tracking_server_may_die(place: Place) -> None:
    kind = KillServer(Random(1), place, 8)
    study = Study(place, "server", *kind.settings)
    try:
        found, faults = play(study, kind, 1, print)
    finally:
        kind.server.kill()
    assert len(faults) == 1
    assert_nothing_is_lost(found)


def test_an_interruption_changes_nothing_of_what_follows(place: Place) -> None:
    """With one worker: the same configurations in the same order, with the same scores."""
    whole = Study(place, "whole", *ONE_AT_A_TIME)
    assert whole.go_on().wait() == 0

    rng = Random(2)
    kinds = [KillDriver(rng, 9), StopDriver(rng, 18)]
    study = Study(place, "broken", *ONE_AT_A_TIME)
    found, faults = play(study, Mixed(kinds), len(kinds), print)
    assert len(faults) == len(kinds)
    assert_nothing_is_lost(found)
    assert done(study) == done(whole)


def done(study: Study) -> list[dict[str, Any]]:
    """A study's course, without clocks: trials in order, how they ended, all they scored."""
    events = study.events()
    evaluated = of(events, "evaluated")
    return [
        {
            "number": trial["number"],
            "origin": trial["origin"],
            "params": trial["params"],
            "ended": [e["state"] for e in of(events, "trial_ended") if _same(e, trial)][-1],
            "scores": [_scores(e["evaluation"]) for e in evaluated if _same(e, trial)],
        }
        for trial in of(events, "trial_created")
    ]


def _same(event: dict[str, Any], trial: dict[str, Any]) -> bool:
    return bool(event["number"] == trial["number"])


def _scores(evaluation: dict[str, Any]) -> list[Any]:
    named = ("rung", "pairs_seen", "step", "objective", "train_loss", "select", "oracle")
    return [evaluation[name] for name in named]
