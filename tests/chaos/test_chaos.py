"""A small share of `make chaos`; signals, the end of Ray and of MLflow have tests of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest

from tests.chaos.clock import StepClock
from tests.chaos.faults import Fault, KillWorker, Kind, TearNewest
from tests.chaos.play import play
from tests.chaos.reference import Undisturbed
from tests.chaos.study import Driver, Place, Study

pytestmark = pytest.mark.slow


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


def test_whatever_happens_nothing_is_lost_repeated_or_counted_twice(place: Place) -> None:
    """A worker, the machine with a torn write, and then the clocks, in the life of one study."""
    rng = Random(1)
    clock = StepClock(rng, place, 22)
    kinds = [KillWorker(rng), TearNewest(rng, 14), clock]
    study = Study(place, "mixed", "scheduler.variant=promotion")
    found, faults = play(study, Mixed(kinds), len(kinds), print)
    assert len(faults) == len(kinds)
    assert clock.after_study(study, study.drivers[-1]) == ""
    assert Undisturbed().wrong(study.events()) == []
    assert found.wrong == []
    assert found.finished == found.expected
