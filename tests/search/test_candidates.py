"""Before a search ends, enough of its best trials complete, and one of each kind of control."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import examples
from tests.search.examples import Make, create, run, with_variant
from tuner.journal.inbox import AddTrial, StopTrial
from tuner.journal.journal import Journal
from tuner.search.asha import Variant
from tuner.search.candidates import Standing, lacking, to_complete
from tuner.search.driver import Driver
from tuner.study import StudyConfig
from tuner.study.design import CANDIDATES
from tuner.study.trial import TrialConfig


def standing(number: int, course: Any, rung: int, value: float, **flat: Any) -> Standing:
    named = {name.replace("__", "."): setting for name, setting in flat.items()}
    config = TrialConfig.from_flat(
        {"mix.cross_lingual": 0.5, "fusion.kind": "dlfa", "fusion.layer": 1, **named}
    )
    return Standing(number, config, course, rung, value)


def test_the_best_at_the_highest_rung_go_on_until_there_are_enough() -> None:
    trials = [
        standing(0, "complete", 900, 0.5, optim__lr=1e-5),
        standing(1, "rests", 300, 0.4, optim__lr=2e-5),
        standing(2, "rests", 100, 0.9, optim__lr=3e-5),
        standing(3, "rests", 300, 0.6, optim__lr=4e-5),
        standing(4, "other", 300, 0.9, optim__lr=5e-5),
        standing(5, "rests", 100, 0.8, optim__lr=3e-5, seed=7),  # a replicate of 2
        standing(6, "rests", 100, 0.7, optim__lr=6e-5),
        standing(7, "rests", 100, 0.1, optim__lr=7e-5),
    ]
    assert CANDIDATES == 5
    assert lacking(trials) == [3, 1, 2, 6]
    assert lacking(trials[:1]) == []


def test_each_kind_of_control_completes() -> None:
    """The best with β = 0 and the best with `last`, though others are better."""
    done = [standing(n, "complete", 900, 0.9, optim__lr=1e-5 * (n + 1)) for n in range(5)]
    plain = standing(5, "rests", 100, 0.2, mix__cross_lingual=0.0)
    better = standing(6, "rests", 100, 0.3, mix__cross_lingual=0.0)
    last = standing(7, "rests", 100, 0.1, fusion__kind="last", fusion__layer=None)
    assert lacking([*done, plain, better, last]) == [6, 7]
    both = standing(
        8, "complete", 900, 0.1, mix__cross_lingual=0.0, fusion__kind="last", fusion__layer=None
    )
    assert lacking([*done, plain, better, last, both]) == []


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 30))
def test_enough_are_chosen_and_no_better_one_is_left(seed: int, count: int) -> None:
    chance = random.Random(seed)
    trials = [
        standing(
            number,
            chance.choice(["complete", "rests", "rests", "other"]),
            chance.choice([100, 300, 900]),
            round(chance.random(), 1),
            mix__cross_lingual=chance.choice([0.0, 0.5]),
            optim__lr=chance.choice([1e-5, 2e-5, 3e-5]),
            seed=chance.choice([0, 1]),
        )
        for number in range(count)
    ]
    chosen = lacking(trials)
    assert {trials[n].course for n in chosen} <= {"rests"} and len(chosen) == len(set(chosen))
    complete = {each.settings for each in trials if each.course == "complete"}
    coming = complete | {trials[n].settings for n in chosen}
    possible = {each.settings for each in trials if each.course != "other"}
    assert len(coming) >= min(CANDIDATES, len(possible))
    assert len(coming) <= max(CANDIDATES, len(complete)) + 2
    assert len(chosen) == len(coming - complete), "each of them is a new configuration"
    if any(each.config.mix.cross_lingual == 0 for each in trials if each.course != "other"):
        assert any("mix.cross_lingual', 0.0" in settings for settings in coming)


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_a_search_ends_with_its_candidates_wherever_it_is_killed(
    study: StudyConfig, evaluation: Make, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial is worse than the one before, so ASHA completes few."""
    monkeypatch.setattr(examples, "score", lambda trial, rung: 0.9 - 0.05 * trial.number)
    study = with_variant(study, variant)
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        total = run(driver, study, evaluation)
        record = driver.finish()
    searched = [trial for trial in record.complete if trial.origin != "baseline"]
    assert len(searched) >= CANDIDATES and to_complete(record.trials) == []
    last = [trial for trial in record.trials if trial.to_the_end]
    assert last and all(trial.state == "completed" for trial in last)
    reasons = {trial.number for trial in last}
    for stop_after in range(total - 12, total, 3):
        other = study.model_copy(update={"name": f"killed-{stop_after}"})
        with create(other) as journal:
            driver = Driver(other, journal)
            driver.start()
            run(driver, other, evaluation, stop_after)
        with Journal(other.folder) as journal:
            driver = Driver(other, journal)
            driver.start()
            run(driver, other, evaluation)
            resumed = driver.finish()
        assert {trial.number for trial in resumed.trials if trial.to_the_end} == reasons
        assert [t.state for t in resumed.trials] == [t.state for t in record.trials]


def test_an_added_trial_may_be_a_candidate_and_one_that_a_user_stopped_not(
    study: StudyConfig, evaluation: Make
) -> None:
    point = {"optim.lr": 1e-3, "mix.cross_lingual": 0.5, "batch.effective_size": 16}
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for lr, stop in ((1e-3, False), (2e-3, True)):
            added = AddTrial(params={**point, "optim.lr": lr, "fusion.kind": "last"})
            assert driver.asked(f"add {lr}", added) == ""
            trial = driver.next_trial()
            assert trial is not None and trial.origin == "added"
            driver.trial_started(trial.number)
            assert driver.evaluated(trial.number, evaluation(100, 0.5))
            if stop:
                assert driver.asked("stop", StopTrial(number=trial.number)) == ""
        trials = journal.history.trials
        rests = [t.model_copy(update={"state": "pruned"}) for t in trials.values()]
    assert to_complete(rests) == [0]
    assert [trial.stopped_by_hand for trial in rests] == [False, True]
