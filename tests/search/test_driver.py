"""The driver without Ray: decisions, states, and the same state again from a journal."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from tests.search.examples import Make, configurations, create, run, with_variant
from tuner.journal.journal import FILE, Journal, read_history
from tuner.journal.records import TrialRecord
from tuner.journal.writer import TakenOver
from tuner.progress import Phase
from tuner.search.asha import Variant
from tuner.search.driver import Driver
from tuner.search.observer import Observer
from tuner.search.outcome import StudyOutcome
from tuner.study import StudyConfig


def test_only_one_thread_ends_a_study(study: StudyConfig, evaluation: Make) -> None:
    """The one that fed the driver hangs in a Ray that has gone; should it wake up, it is late."""
    late, told = list[Exception](), list[int]()

    class Watcher(Observer):
        def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None:
            told.append(pairs_seen)

    def wake_up() -> None:
        driver.restored(0, 10**6)
        driver.progressed(0, 10**6, "training")
        try:
            driver.evaluated(0, evaluation(study.rungs[0], 0.5))
        except TakenOver as error:
            late.append(error)

    with create(study) as journal:
        driver = Driver(study, journal, [Watcher()])
        driver.start()
        assert driver.next_trial() is not None
        driver.trial_started(0)
        driver.take_over()
        driver.outcome = StudyOutcome("interrupted", "Ray has ended: its GCS has ended")
        record = driver.finish()
        thread = Thread(target=wake_up)
        thread.start()
        thread.join()
    assert len(late) == 1 and told == []
    read = read_history(study.folder).record()
    assert (read.state, read.reason) == (record.state, record.reason)
    assert read.state == "interrupted" and read.reason.startswith("Ray has ended")
    assert [(trial.state, trial.failures) for trial in read.trials] == [("interrupted", ())]


def test_a_study_to_its_end(study: StudyConfig, evaluation: Make) -> None:
    """The baseline first and never pruned; every trial ends; the best is a complete one."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation)
        record = driver.finish()
    assert record.state == "completed"
    assert [trial.number for trial in record.trials] == list(range(9))
    baseline = record.trials[0]
    assert baseline.origin == "baseline" and baseline.state == "completed"
    assert {trial.state for trial in record.trials} == {"completed", "pruned"}
    for trial in record.trials:
        rungs = [e.rung for e in trial.evaluations]
        assert rungs == list(study.rungs[: len(rungs)])
        assert (trial.state == "completed") == (len(rungs) == len(study.rungs))
    assert record.best is not None and record.best.last is not None
    assert record.best.last.rung == 900


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_interrupted_anywhere_and_resumed_is_the_same_study(
    study: StudyConfig, evaluation: Make, tmp_path: Path, variant: Variant
) -> None:
    """Same configurations, decisions and scores after a kill at many points, one worker."""
    study = with_variant(study, variant)
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        total = run(driver, study, evaluation)
        expected = configurations(driver.finish())
    for kill_after in range(0, total, 4):
        other = study.model_copy(update={"storage": tmp_path / str(kill_after)})
        with create(other) as journal:
            driver = Driver(other, journal)
            driver.start()
            run(driver, other, evaluation, stop_after=kill_after)
        with Journal(other.folder) as journal:
            driver = Driver(other, journal)
            driver.start()
            fed = run(driver, other, evaluation)
            assert configurations(driver.finish()) == expected
        assert fed == total - kill_after, "nothing is trained twice"


def test_a_decision_that_was_not_written_down_is_taken_on_resume(
    study: StudyConfig, evaluation: Make
) -> None:
    """Killed between the last evaluation and the trial's end: the trial is not run again."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        trial = driver.next_trial()
        assert trial is not None
        driver.trial_started(trial.number)
        for rung in study.rungs:
            driver.evaluated(trial.number, evaluation(rung, 0.7))
    path = study.folder / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"trial_ended" in lines[-1]
    path.write_bytes(b"".join(lines[:-1]))
    with Journal(study.folder) as journal:
        driver = Driver(study, journal)
        driver.start()
        following = driver.next_trial()
        assert following is not None and following.number == 1
        assert journal.history.trials[0].state == "completed"


def test_known_evaluations_are_not_counted_twice(study: StudyConfig, evaluation: Make) -> None:
    """A trial that Ray restarted tells again what its checkpoint carries."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        trial = driver.next_trial()
        assert trial is not None
        for _ in range(2):
            driver.trial_started(trial.number)
            assert driver.evaluated(trial.number, evaluation(100, 0.6))
        record = driver.finish(interrupted=True).trials[0]
    assert record.attempts == 2 and len(record.evaluations) == 1
    assert record.state == "interrupted"


def test_failed_trials_are_never_best_and_a_study_of_them_has_failed(
    study: StudyConfig, evaluation: Make
) -> None:
    """A failed trial keeps its reason; without a complete trial the study failed."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            driver.evaluated(trial.number, evaluation(100, 0.99))
            driver.attempt_failed(trial.number, "non_finite", "the loss is nan at step 7")
        record = driver.finish()
    assert record.state == "failed" and record.best is None
    assert record.trials[0].reason == "the loss is nan at step 7"
