"""Designs as a driver runs them, without Ray: order, waiting, learning rates, an interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scaling.studies import best_at, planned, recorded
from tests.search.examples import create
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.run.resume import nothing_left
from tuner.search.designed import Designed
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.study.file import validate_study

Make = Callable[[int, float], Evaluation]


@pytest.fixture
def small(tmp_path: Path) -> StudyConfig:
    """Two B, three rates and one seed to tune them; two β and two seeds that are compared."""
    return planned(
        tmp_path,
        space={"batch.effective_size": [16, 64], "mix.cross_lingual": [0.0, 1.0]},
        design__seeds=[1, 2],
        design__tuning={"lr": [1e-4, 1e-3, 1e-2], "seeds": [9], "at": {"mix.cross_lingual": 1.0}},
    )


def work(driver: Driver, make: Make, score: Callable[[TrialRecord], float], most: int = 99) -> int:
    """One worker, to the end or to a number of trials; how many it trained."""
    for done in range(most):
        trial = driver.next_trial()
        if trial is None:
            return done
        driver.trial_started(trial.number)
        if score(trial) < 0:
            driver.attempt_failed(trial.number, "non_finite", "the loss is no number")
        else:
            assert not driver.evaluated(trial.number, make(trial.budget, score(trial)))
    return most


def middle(trial: TrialRecord) -> float:
    return 0.8 if trial.config.optim.lr == 1e-3 else 0.6


def params(record: StudyRecord) -> list[tuple[str, dict[str, Any]]]:
    return [(trial.origin, trial.params) for trial in record.trials]


def test_rates_are_chosen_first_and_then_all_points_a_seed_at_a_time(
    small: StudyConfig, evaluation: Make
) -> None:
    def score(trial: TrialRecord) -> float:
        best = 1e-3 if trial.config.batch.effective_size == 16 else 1e-2
        return 0.8 if trial.config.optim.lr == best else 0.6

    with create(small) as journal:
        driver = Driver(small, journal)
        driver.start()
        assert work(driver, evaluation, score) == 6 + 8 == small.trials
        record = driver.finish()
    assert record.state == "completed" and record.best is None
    tuning, scored = record.trials[:6], record.trials[6:]
    assert {t.origin for t in tuning} == {"tuning"} and {t.origin for t in scored} == {"design"}
    assert [(t.config.batch.effective_size, t.config.optim.lr) for t in tuning] == [
        (size, lr) for size in (16, 64) for lr in (1e-4, 1e-3, 1e-2)
    ]
    assert {(t.config.seed, t.config.mix.cross_lingual) for t in tuning} == {(9, 1.0)}
    assert [t.config.seed for t in scored] == [1] * 4 + [2] * 4
    assert {(t.config.batch.effective_size, t.config.optim.lr) for t in scored} == {
        (16, 1e-3),
        (64, 1e-2),
    }


def test_nothing_is_compared_before_all_rates_were_tried(
    small: StudyConfig, evaluation: Make
) -> None:
    """A second worker waits for the last trial that chooses rates; the study is not done."""
    with create(small) as journal:
        driver = Driver(small, journal)
        driver.start()
        work(driver, evaluation, middle, most=5)
        last = driver.next_trial()
        assert last is not None and last.origin == "tuning"
        driver.trial_started(last.number)
        assert driver.next_trial() is None and not driver.done
        driver.evaluated(last.number, evaluation(last.budget, middle(last)))
        following = driver.next_trial()
        assert following is not None and following.origin == "design"


def test_a_batch_size_without_a_rate_is_left_out(small: StudyConfig, evaluation: Make) -> None:
    """Every rate fails with some seed, as all do that diverge."""

    def score(trial: TrialRecord) -> float:
        return -1.0 if trial.config.batch.effective_size == 64 else middle(trial)

    with create(small) as journal:
        driver = Driver(small, journal)
        driver.start()
        assert work(driver, evaluation, score) == 6 + 4
        record = driver.finish()
    assert record.state == "completed" and "leaves no room" not in record.reason
    assert {t.config.batch.effective_size for t in record.trials[6:]} == {16}
    assert "its design has no more trials" in nothing_left(record, small)


def test_interrupted_anywhere_it_is_the_same_plan(
    small: StudyConfig, evaluation: Make, tmp_path: Path
) -> None:
    with create(small) as journal:
        driver = Driver(small, journal)
        driver.start()
        work(driver, evaluation, middle)
        expected = params(driver.finish())
    for most in (0, 3, 6, 9, 13):
        other = small.model_copy(update={"storage": tmp_path / str(most)})
        with create(other) as journal:
            driver = Driver(other, journal)
            driver.start()
            work(driver, evaluation, middle, most)
            assert nothing_left(driver.finish(interrupted=True), other) == ""
        with Journal(other.folder) as journal:
            driver = Driver(other, journal)
            driver.start()
            assert work(driver, evaluation, middle) == 14 - most
            assert params(driver.finish()) == expected


def test_steps_held_equal_give_each_batch_size_a_budget_of_its_own(tmp_path: Path) -> None:
    """640 pairs at the reference batch of 32 are 20 steps, for every B."""
    study = planned(tmp_path, design__hold="steps")
    record = recorded(study, best_at(1e-3))
    assert study.rungs == (320, 640, 1280)
    for trial in record.trials:
        assert trial.budget == 20 * trial.config.batch.effective_size
    assert record.ranked() == [] and len(record.complete) == study.trials


def test_a_study_whose_budget_is_raised_goes_on_where_it_stopped(
    small: StudyConfig, evaluation: Make
) -> None:
    """It counts as completed, its pairs being spent; with more of them there is more to do."""
    budget = small.budget.model_copy(update={"total_pairs": 640 * 8})
    limited = small.model_copy(update={"budget": budget})
    with create(limited) as journal:
        driver = Driver(limited, journal)
        driver.start()
        assert work(driver, evaluation, middle) < 14
        record = driver.finish()
    assert record.state == "completed"
    assert "budget.total_pairs" in nothing_left(record, limited)
    assert nothing_left(record, small) == ""


def test_a_confirmation_runs_every_arm_with_a_seed_before_the_next(tmp_path: Path) -> None:
    settings = {
        **{name: value for name, value in _plain(tmp_path).items() if name != "space"},
        "design": {
            "kind": "confirm",
            "study": "abc",
            "arms": [
                {"name": "control", "settings": {"mix.cross_lingual": 0.0}},
                {"name": "trial 003", "settings": {"mix.cross_lingual": 1.0}, "search_score": 0.9},
            ],
            "seeds": [5, 6],
        },
    }
    study = validate_study(settings, "the test")
    record = recorded(study, best_at(1e-3))
    assert [(t.arm, t.config.seed, t.config.mix.cross_lingual) for t in record.trials] == [
        ("control", 5, 0.0),
        ("trial 003", 5, 1.0),
        ("control", 6, 0.0),
        ("trial 003", 6, 1.0),
    ]


def test_what_a_design_proposes_does_not_depend_on_what_it_was_told(small: StudyConfig) -> None:
    """A proposer made anew from the journal's trials proposes as the first one would have."""
    record = recorded(small, best_at(1e-3))
    for number in range(len(record.trials)):
        proposal = Designed(small).propose(
            number, {trial.number: trial for trial in record.trials[:number]}
        )
        assert proposal != "wait" and proposal is not None
        assert proposal.params == record.trials[number].params


def _plain(folder: Path) -> dict[str, Any]:
    return planned(folder).model_dump(mode="json")
