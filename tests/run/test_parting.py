"""The end of a run: what is saved first, and what a worker's end means then. No cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from tuner.interrupts import OrderlyStop
from tuner.run import engine, parting
from tuner.run.messages import START, Kept, TrialStart, start_in
from tuner.run.parting import PARTING_SECONDS, Parting
from tuner.study.trial import TrialConfig

pytestmark = pytest.mark.integration


class Told:
    """A driver, as far as a parting needs one, and what it is told."""

    def __init__(self) -> None:
        self.outcome: str | None = None
        self.pairs: dict[int, int] = {}
        self.failed: list[int] = []

    def should_stop(self) -> bool:
        return self.outcome is not None

    def progressed(self, number: int, pairs_seen: int, phase: str) -> None:
        self.pairs[number] = pairs_seen

    def attempt_failed(self, number: int, kind: str, reason: str) -> None:
        self.failed.append(number)


class Controller:
    """Ray Tune's, whose workers answer when the test says so."""

    def __init__(self) -> None:
        self.asked: dict[int, Any] = {}

    def _schedule_trial_task(self, trial: Any, method: str, on_result: Any, on_error: Any) -> None:
        assert method == "keep"
        self.asked[start_in(trial.config).number] = (trial, on_result, on_error)

    def answers(self, number: int, pairs_seen: int, complaint: str = "") -> None:
        trial, on_result, _ = self.asked[number]
        on_result(trial, Kept(pairs_seen, complaint))

    def fails(self, number: int, error: Exception) -> None:
        trial, _, on_error = self.asked[number]
        on_error(trial, error)


def trial(number: int, **values: Any) -> Any:
    return SimpleNamespace(config={START: TrialStart(number, TrialConfig(), 32)}, **values)


@pytest.fixture
def driver() -> Any:
    return Told()


@pytest.fixture
def stop() -> OrderlyStop:
    return OrderlyStop(lambda: None, "at once")


def test_all_that_train_save_before_the_run_ends(driver: Any, stop: OrderlyStop) -> None:
    ending, controller = Parting(driver, stop), Controller()
    for number in range(4):
        ending.trains(number)
    ending.rests(3)  # pruned before
    assert not ending.over() and not ending.begun
    stop.received = True
    assert not ending.over() and ending.begun
    for number in (0, 1, 2, 4):  # 4 is about to begin: it has nothing to save
        ending.ask(controller, trial(number))
    assert list(controller.asked) == [0, 1, 2]
    controller.answers(0, 320)
    controller.answers(1, 640, "no space is left for x")
    assert not ending.over()
    controller.fails(2, RuntimeError(""))
    assert ending.over()
    assert driver.pairs == {0: 320, 1: 640}
    one, two = ending.complaints
    assert "trial 001" in one and one.endswith(": no space is left for x")
    assert "trial 002" in two and two.endswith(": RuntimeError")


def test_a_budget_that_is_spent_is_such_an_end_too(driver: Any, stop: OrderlyStop) -> None:
    ending, controller = Parting(driver, stop), Controller()
    ending.trains(7)
    driver.outcome = "budget.wall is spent"
    assert not ending.over()
    ending.ask(controller, trial(7))
    controller.answers(7, 96)
    assert ending.over() and ending.complaints == []


def test_a_trial_that_does_not_answer_is_not_waited_for_for_ever(
    driver: Any, stop: OrderlyStop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(parting.time, "monotonic", lambda: now[0])
    ending = Parting(driver, stop)
    ending.trains(5)
    stop.received = True
    assert not ending.over()
    now[0] += PARTING_SECONDS - 0.1
    assert not ending.over()
    now[0] += 0.2
    assert ending.over() and ending.over()
    (told,) = ending.complaints
    assert "trial 005 could not save its progress" in told


@pytest.mark.parametrize(
    ("received", "gone", "failed"),
    [(True, "", []), (False, "its raylet has ended", []), (False, "", [2])],
    ids=["a stop", "Ray ends", "alone"],
)
def test_a_worker_that_ends_with_everything_else_is_no_trials_failure(
    received: bool,
    gone: str,
    failed: list[int],
    driver: Any,
    stop: OrderlyStop,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whoever signals a whole job, or shuts a machine down, ends workers first."""
    monkeypatch.setattr(engine, "BELIEVED_AFTER", 0.01)
    monkeypatch.setattr(engine, "error_of", lambda trial: ActorDiedError())
    monkeypatch.setattr(engine.private, "logs_folder", lambda: tmp_path)
    stop.received = received
    head: Any = SimpleNamespace(failure=lambda: gone)
    ending = Parting(driver, stop)
    ending.trains(2)
    watcher = engine._Watcher(driver, tmp_path, ending, stop, head)
    watcher.on_trial_error(0, [], trial(2))
    assert driver.failed == failed
    driver.outcome = "…"
    assert ending.over(), "it has nothing to save any more"
