"""When a confirmation is done, what a resume has left to do, and which weights stay until then."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.confirm.examples import confirmed, evaluated, on_test
from tests.confirm.searches import journal_of, searched
from tests.records import SCALING, with_facts, with_settings
from tuner.confirm.command import ConfirmOptions, planned
from tuner.confirm.design import confirmation
from tuner.confirm.result import Confirmed
from tuner.errors import UserError
from tuner.journal import events
from tuner.journal.records import StudyRecord
from tuner.run.resume import nothing_left
from tuner.run.trial_files import TRIAL, staying
from tuner.search.driver import Driver
from tuner.search.outcome import StudyOutcome
from tuner.search.recommend import NONE_WHOLE
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.study.file import validate_study
from tuner.training.checkpoint import MODEL, sha256

TEST = on_test({"en": 5, "de": 5, "es": 4, "ja": 4})


def train_all(driver: Driver, made: StudyConfig) -> None:
    while (trial := driver.next_trial()) is not None:
        driver.trial_started(trial.number)
        right = evaluated({"en": 5, "de": 5 + (trial.arm != "control")})
        driver.evaluated(trial.number, right.model_copy(update={"rung": made.rungs[-1]}))


def test_it_is_done_when_every_trial_was_tested(tmp_path: Path) -> None:
    """Each time that a driver ends, what is left is what the next one does."""
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 1, (1, 2))
    design = made.design
    assert isinstance(design, ConfirmDesign)
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        train_all(driver, made)
        record = driver.finish()
        assert record.state == "interrupted" and "the confirmation has not ended" in record.reason
        assert nothing_left(record, made) == ""
        assert record.recommendation is not None and record.recommendation.arm == "trial 002"
        runs = [(trial.arm, trial.config.seed) for trial in record.trials]
        chose = [("control", 1001), ("trial 002", 1001)]
        estimate = [(arm, seed) for seed in design.estimating for arm in ("trial 002", "control")]
        assert runs == [*chose, *estimate] and len(runs) == 6
        assert [t.number for t in staying(record, 0)] == [2, 3, 4, 5], "still to be tested"

        driver = Driver(made, journal)
        driver.start()
        assert driver.done, "nothing is trained again"
        for number in (2, 3, 4):
            driver.note(events.Tested(time=time.time(), number=number, on_test=TEST))
        record = driver.finish()
        assert record.state == "interrupted" and nothing_left(record, made) == ""
        assert [trial.number for trial in staying(record, 5)] == [2, 4, 5]
        assert [trial.number for trial in staying(record, 0)] == [5], "still to be tested"

        driver = Driver(made, journal)
        driver.start()
        driver.note(events.Tested(time=time.time(), number=5, on_test=TEST))
        record = driver.finish()
        assert record.state == "completed"
        assert "the trials that estimate were evaluated on test" in nothing_left(record, made)
        assert [trial.number for trial in staying(record, 5)] == [2, 4]
        assert staying(record, 0) == []


def test_a_budget_that_ends_it_leaves_it_unfinished(tmp_path: Path) -> None:
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 1, (1, 2), (), ["budget.wall=1s"])
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        time.sleep(1.1)
        train_all(driver, made)
        record = driver.finish()
    assert record.state == "interrupted" and "budget.wall is spent" in record.reason
    assert "--until +2h" in nothing_left(record, made)
    budget = made.budget.model_copy(update={"wall": "1h"})
    assert nothing_left(record, made.model_copy(update={"budget": budget})) == ""


@pytest.mark.parametrize("keep_best", [1, 3])
def test_of_a_search_the_best_stay(keep_best: int, tmp_path: Path) -> None:
    search = searched(tmp_path)
    assert [t.number for t in staying(search, keep_best)] == [4, 2, 1][:keep_best]
    assert staying(with_settings(search, design=SCALING), keep_best) == []


def test_without_test_the_recommendation_ends_it(tmp_path: Path) -> None:
    dev = {"en": 5, "de": 5}
    record = confirmed({"control": [(dev, {}), (dev, {})]}, "control")
    record = with_facts(record, data={"counts": {**record.facts.data.counts, "test": {}}})
    made = validate_study(record.settings.model_dump(mode="json"), "the example")
    assert "is complete: there is no test" in nothing_left(record, made)
    assert len(staying(record, 1)) == 1


def again(search: StudyRecord, folder: Path) -> str:
    """Name of the study that --again would begin."""
    return planned(search, folder, ConfirmOptions(top=1, again=True)).name


def test_where_every_arm_has_failed_another_may_be_asked_for(tmp_path: Path) -> None:
    """Before, going on was told to be what is left, and going on did nothing."""
    search, folder = searched(tmp_path), tmp_path / "small"
    first = confirmation(search, folder, 1, (1, 2))
    with journal_of(first, search) as journal:
        driver = Driver(first, journal)
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            driver.attempt_failed(trial.number, "non_finite", "the loss is no number")
        driver.outcome = StudyOutcome("failed", NONE_WHOLE)
        record = driver.finish()
    assert record.state == "failed"
    assert nothing_left(record, first) == (
        "study small-confirm has ended: nothing is recommended, since no run that could choose "
        "has completed, and test was not read"
    )
    with pytest.raises(UserError, match="no run that could choose has completed") as refused:
        Confirmed.of(record)
    assert "--again" in refused.value.remedy
    assert again(search, folder) == "small-confirm-2"


def test_where_weights_are_gone_another_may_be_asked_for(tmp_path: Path) -> None:
    """Test was still to be read with them: going on would be refused for ever."""
    search, folder = searched(tmp_path), tmp_path / "small"
    first = confirmation(search, folder, 1, (1, 2))
    best = tmp_path / "small-confirm" / "best"
    with journal_of(first, search) as journal:
        driver = Driver(first, journal)
        driver.start()
        train_all(driver, first)
        driver.finish()
        driver = Driver(first, journal)
        driver.start()
        for number in (2, 3, 4):
            driver.note(events.Tested(time=time.time(), number=number, on_test=TEST))
        driver.finish()
    (best / "0005").mkdir(parents=True)
    weights = best / "0005" / MODEL
    save_file({"weight": torch.zeros(2)}, weights)
    (best / "0005" / TRIAL).write_text(json.dumps({"sha256": sha256(weights)}))
    with pytest.raises(UserError, match="has not ended"):
        again(search, folder)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert again(search, folder) == "small-confirm-2", "damaged"
    weights.unlink()
    assert again(search, folder) == "small-confirm-2", "gone"
