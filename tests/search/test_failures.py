"""Consequences of failures: the policy of each kind, on made-up records, and in the driver."""

from __future__ import annotations

import pytest

from tests.search.examples import Make, create
from tuner.journal.journal import Journal, read_history
from tuner.journal.records import FailureKind, StudyRecord, TrialRecord
from tuner.search import failures
from tuner.search.driver import Driver
from tuner.study import StudyConfig


def fail(
    driver: Driver, number: int, kind: FailureKind, reason: str = "why", seen: int = 0
) -> None:
    """One attempt, from its start to its failure."""
    driver.trial_started(number)
    driver.restored(number, seen)
    driver.attempt_failed(number, kind, reason)


def first(driver: Driver) -> TrialRecord:
    """The trial that is to be run."""
    trial = driver.next_trial()
    assert trial is not None
    return trial


def record(study: StudyConfig) -> StudyRecord:
    """Return the record as the journal has it."""
    return read_history(study.folder).record()


def test_out_of_memory_halves_the_micro_batch_until_nothing_fits(study: StudyConfig) -> None:
    """32 → 16 → … → 1 → none: six attempts, no retry spent, B as it was, then FAIL."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        baseline = first(driver)
        sizes = []
        for _ in range(6):
            sizes.append(failures.micro_size(baseline, workers=1))
            assert failures.micro_size(baseline, workers=4) == 8 >> (len(sizes) - 1)
            fail(driver, 0, "out_of_memory")
            if journal.history.trials[0].state == "failed":
                break
            baseline = first(driver)
            assert baseline.number == 0, "it is tried again before anything new"
        assert sizes == [32, 16, 8, 4, 2, 1]
        assert first(driver).number == 1
    failed = record(study).trials[0]
    assert failed.state == "failed" and "not even one pair fits" in failed.reason
    assert failed.config.batch.effective_size == 32
    assert failures.counts(failed) == {"out_of_memory": 6}


def test_losses_are_not_counted_while_the_trial_comes_on(study: StudyConfig) -> None:
    """Twenty machines may be taken away, if each brought it further."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        first(driver)
        for seen in range(0, 800, 40):
            fail(driver, 0, "lost", seen=seen)
            assert first(driver).number == 0
        assert journal.history.trials[0].state == "interrupted"


def test_a_trial_that_ends_its_worker_each_time_is_given_up(study: StudyConfig) -> None:
    """It never comes on: five times in a row are no accident."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        first(driver)
        for _ in range(failures.STUCK - 1):
            fail(driver, 0, "lost", "its worker is gone", seen=40)
            assert first(driver).number == 0
        fail(driver, 0, "lost", "its worker is gone", seen=40)
        assert first(driver).number == 1
    assert record(study).trials[0].reason == (
        "lost 5 times after 40 pairs, the last time: its worker is gone"
    )


@pytest.mark.parametrize("kind", ["non_finite", "infeasible"])
def test_what_is_the_configurations_fault_is_not_tried_again(
    study: StudyConfig, kind: FailureKind
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        first(driver)
        fail(driver, 0, kind, "as it is")
        assert first(driver).number == 1
        assert journal.history.trials[0].state == "failed"
        assert journal.history.trials[0].reason == "as it is"


def test_anything_else_is_tried_again_so_many_times(study: StudyConfig) -> None:
    """Losses in between are not counted."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for kind in ("error", "lost", "error", "error"):
            assert first(driver).number == 0
            fail(driver, 0, kind, f"{kind}: 7")  # type: ignore[arg-type]
        assert first(driver).number == 1
        assert journal.history.trials[0].reason == "failed 3 times, the last time: error: 7"


@pytest.mark.parametrize("kind", ["user_error", "disk_full"])
def test_what_every_trial_would_meet_pauses_the_study(
    study: StudyConfig, kind: FailureKind, evaluation: Make
) -> None:
    """One message; nothing has failed, and a resume goes on with all of it."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        first(driver)
        second = first(driver).number
        driver.trial_started(second)
        fail(driver, 0, kind, "the file is missing", seen=8)
        assert driver.should_stop() and driver.done and driver.next_trial() is None
        ended = driver.finish()
        assert driver.outcome is not None and driver.outcome.error is not None
        assert "resume" in driver.outcome.error.remedy
    assert ended.state == "interrupted"
    assert {trial.state for trial in ended.trials} == {"interrupted"}
    with Journal(study.folder) as journal:
        driver = Driver(study, journal)
        driver.start()
        assert {first(driver).number, first(driver).number} == {0, second}
        assert driver.outcome is None


def test_a_study_whose_trials_all_fail_alike_stops_early(study: StudyConfig) -> None:
    """Five of nine: the same kind and words, whatever the numbers in them."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        while (trial := driver.next_trial()) is not None:
            reason = f"training diverged at step {trial.number}: loss nan, norm {trial.number}e5"
            fail(driver, trial.number, "non_finite", reason)
        ended = driver.finish()
    assert len(ended.trials) == failures.ALIKE
    assert ended.state == "failed" and "the first 5 trials all failed" in ended.reason


def test_failures_that_differ_or_come_after_a_success_do_not_end_a_study(
    study: StudyConfig, evaluation: Make
) -> None:
    for kinds, evaluated in ((("non_finite", "infeasible"), False), (("non_finite",) * 2, True)):
        other = study.model_copy(update={"name": f"small-{evaluated}"})
        with create(other) as journal:
            driver = Driver(other, journal)
            driver.start()
            while (trial := driver.next_trial()) is not None:
                driver.trial_started(trial.number)
                if evaluated and trial.number == 0:
                    driver.evaluated(0, evaluation(100, 0.5))
                driver.attempt_failed(trial.number, kinds[trial.number % 2], "why")  # type: ignore[arg-type]
            ended = driver.finish()
        assert len(ended.trials) == 9, "to its budget"


def test_a_trial_may_be_waited_for(study: StudyConfig, evaluation: Make) -> None:
    """While the last trials run, there is no other now, but there may be: theirs, again."""
    with create(study.model_copy(update={"baseline": None})) as journal:
        small = study.model_copy(
            update={"budget": study.budget.model_copy(update={"trials": 1}), "baseline": None}
        )
        driver = Driver(small, journal)
        driver.start()
        first(driver)
        driver.trial_started(0)
        assert driver.next_trial() is None and not driver.done
        driver.attempt_failed(0, "lost", "its node was taken away")
        assert first(driver).number == 0 and not driver.done
        driver.trial_started(0)
        for rung in study.rungs:
            driver.evaluated(0, evaluation(rung, 0.9))
        assert driver.next_trial() is None and driver.done
