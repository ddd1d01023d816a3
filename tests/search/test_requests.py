"""Users' requests: carried out once, journalled as theirs, refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.search.examples import Make, create, with_variant
from tuner.journal import inbox
from tuner.journal.inbox import AddTrial, StopTrial
from tuner.journal.journal import Journal
from tuner.run.requests import Requests
from tuner.search.driver import Driver
from tuner.study import StudyConfig

POINT: dict[str, Any] = {
    "optim.lr": 1e-3,
    "mix.cross_lingual": 0.5,
    "batch.effective_size": 16,
    "fusion.kind": "last",
}


def begin(driver: Driver) -> int:
    trial = driver.next_trial()
    assert trial is not None
    driver.trial_started(trial.number)
    return trial.number


def test_an_added_trial_comes_next_and_counts_as_by_hand(study: StudyConfig) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        assert begin(driver) == 0
        assert driver.asked("a", AddTrial(params=POINT)) == ""
        assert driver.asked("a", AddTrial(params=POINT)) == "", "a request comes once"
        assert len(journal.history.trials) == 2
        refused = driver.asked("b", AddTrial(params={**POINT, "optim.lr": 0.001}))
        assert "trial 001 of small has these settings" in refused
        assert begin(driver) == 1
        added = journal.history.trials[1]
        assert (added.origin, added.params) == ("added", POINT)
        assert begin(driver) == 2 and journal.history.trials[2].origin == "sampler"
        record = driver.record()
    assert record.by_hand == 1
    by_hand = "; a user added or stopped 1 trial of the search by hand"
    assert record.claim == record.facts.claim + by_hand
    with Journal(study.folder) as journal:
        again = Driver(study, journal)
        again.start()
        assert again.asked("a", AddTrial(params=POINT)) == ""
        assert len(journal.history.trials) == 3


@pytest.mark.parametrize(
    "params",
    [{**POINT, "optim.lr": 1.0}, {"nothing": 1}, {**POINT, "fusion.layer": 1}],
    ids=["out of range", "no setting", "no condition"],
)
def test_what_is_no_point_is_refused_and_nothing_written(
    study: StudyConfig, params: dict[str, Any]
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        assert driver.asked("a", AddTrial(params=params)) != ""
        assert journal.history.trials == {} and driver.outcome is None


def test_a_stopped_trial_ends_at_its_next_sign_of_life(
    study: StudyConfig, evaluation: Make
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        running = [begin(driver) for _ in range(3)]
        assert running == [0, 1, 2]
        assert driver.evaluated(1, evaluation(100, 0.9))
        assert driver.asked("a", StopTrial(number=1)) == ""
        assert not driver.progressed(1, 200, "training")
        assert not driver.evaluated(1, evaluation(300, 0.9))
        stopped = journal.history.trials[1]
        assert (stopped.state, stopped.reason, stopped.stopped_by_hand) == (
            "pruned",
            "stopped by hand",
            True,
        )
        assert driver.progressed(2, 50, "training")
        for number, why in ((1, "has ended: pruned"), (77, "has no trial 77")):
            assert why in driver.asked(f"b{number}", StopTrial(number=number))
        assert "is its control" in driver.asked("c", StopTrial(number=0))
        assert driver.progressed(0, 50, "training")


def test_a_waiting_and_a_paused_trial_can_be_stopped(study: StudyConfig, evaluation: Make) -> None:
    study = with_variant(study, "promotion")
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        assert [begin(driver) for _ in range(3)] == [0, 1, 2]
        assert not driver.evaluated(1, evaluation(100, 0.9))
        driver.attempt_failed(2, "lost", "its node is gone")
        for number, state in ((1, "paused"), (2, "interrupted")):
            assert journal.history.trials[number].state == state
            assert driver.asked(f"{number}", StopTrial(number=number)) == ""
            assert journal.history.trials[number].state == "pruned"
        assert begin(driver) == 3
        for number in (4, 5):
            assert begin(driver) == number
            assert not driver.evaluated(number, evaluation(100, 0.1 * number))
        assert 1 not in driver._schedule._paused, "it is promoted no more"


def test_requests_are_read_from_the_inbox_and_removed(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreadable ones too; a file of another name stays where it is."""
    monkeypatch.setattr("tuner.run.requests.EVERY_SECONDS", 0.0)
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        requests = Requests(study.folder, driver)
        requests.look()
        inbox.send(study.folder, AddTrial(params=POINT))
        inbox.send(study.folder, StopTrial(number=0))
        inbox.send(study.folder, StopTrial(number=9))
        folder = study.folder / inbox.FOLDER
        (folder / f"{'9' * 20}-00000000.json").write_text("{")
        (folder / "note.txt").write_text("mine")
        requests.look()
        assert journal.history.trials[0].state == "pruned"
        assert [path.name for path in folder.iterdir()] == ["note.txt"]
    assert len(requests.complaints) == 2
    assert "has no trial 9" in requests.complaints[0]
    assert "cannot be read" in requests.complaints[1]


def test_a_driver_that_died_before_it_removed_a_request_does_not_repeat_it(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.run.requests.EVERY_SECONDS", 0.0)
    monkeypatch.setattr(inbox, "answered", lambda folder, id_: None)
    inbox_id = ""
    for _ in range(2):
        with create(study) if not inbox_id else Journal(study.folder) as journal:
            driver = Driver(study, journal)
            driver.start()
            inbox_id = inbox_id or inbox.send(study.folder, AddTrial(params=POINT))
            Requests(study.folder, driver).look()
            assert [trial.origin for trial in journal.history.trials.values()] == ["added"]


def test_enqueued_points_come_after_the_baseline_and_before_the_sampler(
    study: StudyConfig,
) -> None:
    points = ({"optim.lr": 2e-3}, {"optim.lr": 3e-3, "mix.cross_lingual": 0.3})
    study = study.model_copy(update={"enqueue": points})
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        begin(driver)
        assert driver.asked("a", AddTrial(params=POINT)) == ""
        for _ in range(4):
            begin(driver)
        trials = list(journal.history.trials.values())
    origins = [trial.origin for trial in trials]
    assert origins == ["baseline", "added", "enqueued", "enqueued", "sampler"]
    assert [trial.config.optim.lr for trial in trials[2:4]] == [2e-3, 3e-3]
