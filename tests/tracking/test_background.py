"""Delivery on a thread: nobody waits for it, nothing is lost, only what is lacking is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tracking.examples import Told, started, study, tell, trial, until_idle
from tests.tracking.stores import Store, Tally
from tests.waiting import PATIENCE, until
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.tracking import BackgroundTracker, Tracker

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("no_pause")
def test_what_is_lost_while_the_store_is_broken_is_made_good(store: Store) -> None:
    whole = study(*(trial(number) for number in range(6)), state="completed")
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    tell(behind, whole.trials[:2])
    until_idle(behind)
    store.statement("ALTER TABLE metrics RENAME TO away")
    tell(behind, whole.trials[2:4])
    until(lambda: "no such table: metrics" in behind._why)
    store.statement("ALTER TABLE away RENAME TO metrics")
    tell(behind, whole.trials[4:])
    until_idle(behind)
    behind.study_ended(whole)
    assert behind.close() == []

    assert store.tally(whole) == Tally(runs=7)
    seen = store.rows()
    Tracker(store.uri, "demo").sync(whole)
    assert store.rows() == seen


@pytest.mark.usefixtures("no_pause")
def test_what_stays_lost_is_told(store: Store) -> None:
    whole = study(trial(1), state="completed")
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    until_idle(behind)
    store.statement("ALTER TABLE metrics RENAME TO away")
    tell(behind, whole.trials)
    behind.study_ended(whole)
    what, why, remedy = behind.close()
    assert "lacks part of the study demo" in what
    assert "no such table: metrics" in why
    assert remedy.endswith("tuner sync demo --storage /kept")


class Held(Tracker):
    """Takes a record only while its gate is open."""

    gate = threading.Event()

    def sync(self, study: StudyRecord, *args: Any) -> Any:
        assert self.gate.wait(PATIENCE)
        return super().sync(study, *args)

    def write(self, trial: TrialRecord) -> None:
        assert self.gate.wait(PATIENCE)
        super().write(trial)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The gate of the store, closed."""
    gate = threading.Event()
    monkeypatch.setattr(Held, "gate", gate)
    monkeypatch.setattr("tuner.tracking.background.Tracker", Held)
    yield gate
    gate.set()


def test_a_search_never_waits_and_what_waits_is_one_record_a_trial(
    store: Store, gate: threading.Event
) -> None:
    rungs = tuple(range(100, 1100, 100))
    whole = study(*(trial(number, rungs=rungs) for number in range(84)), state="completed")
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    tell(behind, whole.trials)  # 1,008 changes, none of which the store takes
    assert len(behind._lacking) <= len(whole.trials) + 1
    behind.study_ended(whole)
    assert len(behind._lacking) == 1  # the study itself, which has them all
    gate.set()
    assert behind.close() == []
    assert store.tally(whole) == Tally(runs=85)


def test_what_changes_often_is_written_once(store: Store, gate: threading.Event) -> None:
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    tell(behind, [trial(1, rungs=tuple(range(100, 5000, 100)))])  # 51 changes
    gate.set()
    until_idle(behind)
    assert behind._tracker is not None
    assert behind._tracker.written <= 2 + 2  # the study made and written, and so the trial
    assert behind.close() == []


def test_what_changes_while_it_is_written_is_written_again(
    store: Store, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()
    write = Held.write
    monkeypatch.setattr(Held, "write", lambda self, trial: (writing.set(), write(self, trial)))
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    gate.set()
    until_idle(behind)
    gate.clear()
    pruned = trial(1, "pruned")
    behind.trial_started(started(pruned))
    assert writing.wait(PATIENCE)
    tell(behind, [pruned])
    gate.set()
    until_idle(behind)
    assert store.tally(study(pruned)) == Tally(runs=2, running=1)  # the study goes on
    assert behind.close() == []


def test_a_slow_store_is_waited_for_and_the_user_sees_how_far_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.tracking.background.GIVE_UP", 0.1)
    write = Tracker._write

    def once_it_is_shown(self: Tracker, *args: Any) -> None:
        until(lambda: not behind._closing.is_set() or told.counts[-1:] == [behind._counts])
        write(self, *args)

    monkeypatch.setattr(Tracker, "_write", once_it_is_shown)
    whole = study(*(trial(number) for number in range(5)), state="completed")
    told = Told()
    behind = BackgroundTracker(store.uri, "demo", told)
    behind.study_started(study())
    behind.study_ended(whole)
    assert behind.close() == []
    assert {total for _, total in told.counts} <= {0, 5}
    assert len({done for done, _ in told.counts}) >= 4
    assert store.tally(whole) == Tally(runs=6)


def test_the_wait_at_the_end_can_be_ended(store: Store, gate: threading.Event) -> None:
    behind = BackgroundTracker(store.uri, "demo", Told())
    behind.study_started(study())
    _, why, remedy = behind.close(hurried=lambda: True)
    assert "stopped waiting" in why
    assert "sync demo" in remedy


def test_the_environment_does_not_come_in_between(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_ACTIVE_MODEL_ID", "m-0")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    behind = BackgroundTracker(store.uri, "demo", Told())  # MLflow reads it per thread
    behind.study_started(study(trial(1)))
    assert behind.close() == []
    monkeypatch.undo()
    assert [run.info.run_name for run in store.runs()] == ["demo", "trial 001"]
