"""Extending a study: what a resume may change, what it may not, and what then happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records import with_settings
from tests.search.examples import Make, create, run
from tuner.errors import UserError
from tuner.journal.events import SettingsChanged
from tuner.journal.journal import Journal, read_history
from tuner.journal.ledger import Ledger
from tuner.journal.records import StudyRecord
from tuner.run.resume import Extension, changed_blocks, check_new, extended, nothing_left
from tuner.search.driver import Driver
from tuner.study import StudyConfig


def with_budget(study: StudyConfig, **budget: Any) -> StudyConfig:
    return study.model_copy(update={"budget": study.budget.model_copy(update=budget)})


@pytest.fixture
def done(study: StudyConfig, evaluation: Make) -> Callable[[StudyConfig], StudyRecord]:
    """A study run to its end, or to the end of its budget."""

    def to_its_end(study: StudyConfig) -> StudyRecord:
        with create(study) as journal:
            driver = Driver(study, journal)
            driver.start()
            run(driver, study, evaluation)
            return driver.finish()

    return to_its_end


def test_extended_by_trials(study: StudyConfig, done: Any, evaluation: Make) -> None:
    """The same first trials as they were, then as many more as a larger study would have had."""
    small = with_budget(study, trials=5)
    record = done(small)
    assert record.state == "completed" and len(record.trials) == 5
    assert "resume" in nothing_left(record, small) and "--trials +8" in nothing_left(record, small)

    larger = extended(record, small.folder, Extension(trials="+4"))
    assert larger.budget.trials == 9 and nothing_left(record, larger) == ""
    with Journal(small.folder) as journal:
        changed = changed_blocks(record, larger)
        assert set(changed) == {"budget"}
        journal.append(SettingsChanged(time=2.0, settings=changed))
        driver = Driver(larger, journal)
        driver.start()
        run(driver, larger, evaluation)
        driver.finish()
    longer = read_history(small.folder).record()
    assert longer.trials[:5] == record.trials and len(longer.trials) == 9
    assert longer.settings.budget.trials == 9, "what is read from now on"
    at_once = done(study.model_copy(update={"name": "at-once"}))
    assert [trial.params for trial in longer.trials] == [trial.params for trial in at_once.trials]


def test_a_budget_of_pairs_is_never_exceeded(study: StudyConfig, done: Any) -> None:
    for total in (1000, 2000, 3333):
        limited = with_budget(study, total_pairs=total).model_copy(update={"name": f"n{total}"})
        record = done(limited)
        pairs = Ledger.of(record).pairs
        assert pairs <= total and pairs + 960 > total, "and nothing is left that could be used"
        assert record.state == "completed" and not any(
            trial.state == "interrupted" for trial in record.trials
        )
        assert "no room for another trial" in nothing_left(record, limited)
        assert "no room for another trial" in record.reason
        more = extended(record, limited.folder, Extension(overrides=["budget.total_pairs=9000"]))
        assert nothing_left(record, more) == ""


def test_what_is_added_counts_from_the_budget_or_from_what_was_spent(
    study: StudyConfig, done: Any
) -> None:
    record = done(study).model_copy(update={"seconds": 1800.0})
    extension = Extension(until="+2h")
    assert extended(record, study.folder, extension).budget.wall == "2h30m"
    record = with_settings(record, budget={**study.budget.model_dump(), "wall": "1h"})
    assert extended(record, study.folder, extension).budget.wall == "3h"
    on_gpus = Extension(gpu_hours="+4", overrides=["resources.gpus_per_trial=1"])
    assert extended(record, study.folder, on_gpus).budget.gpu_hours == 4


def test_a_spent_budget_says_how_to_go_on(study: StudyConfig, done: Any) -> None:
    limited = with_budget(study, wall="1h")
    record = done(limited).model_copy(update={"seconds": 3600.0})
    told = nothing_left(record, limited)
    assert told.startswith("budget.wall is spent: 3,600 s") and told.endswith("--until +2h")
    assert "small" in told


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("space.optim.lr.high=0.1", "space.optim.lr.high: was 0.01, now 0.1"),
        ("budget.pairs_per_trial=1800", "budget.pairs_per_trial: was 900, now 1800"),
        ("protocol.objective=mean", "protocol.objective: was balanced, now mean"),
        ("sampler.seed=9", "sampler.seed: was 3, now 9"),
        ("trial.batch.micro_size=4", "trial.batch.micro_size: was not set, now 4"),
        ("trial.optim.lr=1e-3", "space.optim.lr.type: was float, now fixed"),
    ],
)
def test_what_trials_are_compared_by_stays(
    study: StudyConfig, done: Any, override: str, line: str
) -> None:
    with pytest.raises(UserError) as refused:
        extended(done(study), study.folder, Extension(overrides=[override]))
    assert line in refused.value.problem and "begin a new study" in refused.value.remedy


def test_resources_may_change(study: StudyConfig, done: Any) -> None:
    record = done(study)
    overrides = ["resources.max_concurrent_trials=2", "checkpoint.every_seconds=5"]
    changed = changed_blocks(record, extended(record, study.folder, Extension(overrides=overrides)))
    assert set(changed) == {"resources", "checkpoint"}
    assert changed["resources"]["max_concurrent_trials"] == 2


@pytest.mark.parametrize(
    ("extension", "complaint"),
    [
        (Extension(trials="32"), "--trials takes the amount to add, got '32'"),
        (Extension(trials="+0"), "--trials +32"),
        (Extension(trials="+1.5"), "got '+1.5'"),
        (Extension(trials="+-3"), "got '+-3'"),
        (Extension(gpu_hours="+inf"), "got '+inf'"),
        (Extension(gpu_hours="+nan"), "got '+nan'"),
        (Extension(gpu_hours="+4"), "trials of this study use no GPU"),
        (Extension(until="2h"), "--until +2h"),
        (Extension(until="+soon"), "got '+soon'"),
        (Extension(overrides=["budgt.trials=3"]), "did you mean 'budget'"),
        (Extension(overrides=["name=other"]), "--set name"),
        (Extension(overrides=["storage=elsewhere"]), "--set storage"),
        (Extension(overrides=["budget.trials=1"]), "already 9 trials"),
    ],
)
def test_extensions_that_are_none(
    study: StudyConfig, done: Any, extension: Extension, complaint: str
) -> None:
    with pytest.raises(UserError) as refused:
        extended(done(study), study.folder, extension)
    assert complaint in str(refused.value)


def test_a_file_in_the_place_of_a_folder(study: StudyConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for storage, name in ((tmp_path, "file"), (tmp_path / "file", "small")):
        asked = study.model_copy(update={"storage": storage, "name": name})
        with pytest.raises(UserError, match=r"file is a file, so the study's folder"):
            check_new(asked)


def test_a_name_after_which_a_confirmation_could_not_be_named(study: StudyConfig) -> None:
    baseline = {"mix.cross_lingual": 0.0}
    check_new(study.model_copy(update={"name": "s" * 51, "baseline": None}))
    check_new(study.model_copy(update={"name": "s" * 50, "baseline": baseline}))
    with pytest.raises(UserError, match="has 51 characters") as refused:
        check_new(study.model_copy(update={"name": "s" * 51, "baseline": baseline}))
    assert "at most 50" in refused.value.remedy


def test_a_name_that_is_taken_says_what_differs(study: StudyConfig, done: Any) -> None:
    done(study)
    with pytest.raises(UserError) as refused:
        check_new(study)
    assert "already exists" in refused.value.problem and "settings" not in refused.value.problem
    with pytest.raises(UserError) as refused:
        check_new(with_budget(study, trials=7))
    assert "with different settings:\n  budget.trials: was 9, now 7" in refused.value.problem
    assert "resume small" in refused.value.remedy


def test_its_yaml_run_again(study: StudyConfig, done: Any) -> None:
    """The study is resumed unchanged, with more to spend, and with something else to compare."""
    small = with_budget(study, trials=5)
    record = done(small)

    def anew(study: StudyConfig) -> StudyConfig:
        settings = study.model_dump(mode="json")
        return extended(record, small.folder, Extension(settings=settings))

    assert anew(small) == small and changed_blocks(record, anew(small)) == {}
    more = anew(with_budget(small, trials=9))
    assert more.budget.trials == 9 and set(changed_blocks(record, more)) == {"budget"}
    with pytest.raises(UserError, match=r"encoder\.max_length: was 32, now 64"):
        anew(
            small.model_copy(
                update={"encoder": study.encoder.model_copy(update={"max_length": 64})}
            )
        )
