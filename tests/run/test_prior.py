"""Warm start: the sampler reads earlier studies that were run in the same way, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.examples import SETTINGS
from tests.records import facts
from tests.search.examples import Make, create, run
from tuner.errors import UserError
from tuner.journal.events import StudyCreated
from tuner.journal.journal import Journal
from tuner.run.prior import earlier_studies, prior_trials
from tuner.run.resume import check_rules
from tuner.search.driver import Driver
from tuner.search.supply import RULES
from tuner.study import StudyConfig
from tuner.study.file import validate_study


@pytest.fixture
def earlier(study: StudyConfig, evaluation: Make) -> StudyConfig:
    """A search that ended: the baseline and eight sampled trials."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation)
        driver.finish()
    return study


def later(storage: Path, **settings: Any) -> StudyConfig:
    whole = {**SETTINGS, "name": "later", "storage": str(storage), "warm_start": ["small"]}
    return validate_study({**whole, **settings}, "the test")


def begun(study: StudyConfig) -> Journal:
    found = prior_trials(study, earlier_studies(study), facts())
    created = StudyCreated(
        time=1.0,
        name=study.name,
        id="later",
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=study.rungs,
        rules=RULES,
        prior=found,
    )
    return Journal.create(study.folder, created)


def test_the_sampler_begins_where_the_earlier_study_ended(
    earlier: StudyConfig, evaluation: Make
) -> None:
    """Its trials are modelled, and are none of the new study's; the journal keeps them."""
    study = later(Path(str(earlier.storage)))
    with begun(study) as journal:
        assert len(journal.history.prior) == 8, "the baseline lies outside"
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation)
        record = driver.finish()
        learnt = [trial.params for trial in record.trials if trial.origin == "sampler"]
    assert len(record.trials) == 9 and record.trials[0].origin == "baseline"
    alone = later(Path(str(earlier.storage)), warm_start=[], name="alone")
    with create(alone) as journal:
        driver = Driver(alone, journal)
        driver.start()
        run(driver, alone, evaluation)
        unlearnt = [t.params for t in driver.finish().trials if t.origin == "sampler"]
    assert learnt[0] != unlearnt[0], "its first proposal is no start-up draw"
    means = [sum(p["mix.cross_lingual"] for p in points) for points in (learnt, unlearnt)]
    assert means[0] > means[1], "the score grows with it"


def test_what_lies_outside_or_was_run_otherwise_is_left_out(earlier: StudyConfig) -> None:
    storage = Path(str(earlier.storage))
    space = {**SETTINGS["space"], "fusion.kind": ["last"]}
    del space["fusion.layer"]
    narrow = later(storage, space=space)
    found = prior_trials(narrow, earlier_studies(narrow), facts())
    assert 0 < len(found) < 8 and all(each.params["fusion.kind"] == "last" for each in found)
    other = later(storage, trial={"optim.weight_decay": 0.3})
    with pytest.raises(UserError, match=r"none of the 9 trials .* in optim\.weight_decay"):
        prior_trials(other, earlier_studies(other), facts())
    machine = later(storage, trial={"batch.micro_size": 4, "seed": 5})
    assert len(prior_trials(machine, earlier_studies(machine), facts())) == 8


def test_groups_of_languages_change_no_score(earlier: StudyConfig) -> None:
    study = later(Path(str(earlier.storage)))
    grouped = study.languages.model_copy(update={"groups": {"all": study.languages.target}})
    assert earlier_studies(study.model_copy(update={"languages": grouped}))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "other languages": (
        {"languages": {"source": ["en", "fr"]}},
        "en, de and is here en, fr",
    ),
    "another budget": (
        {"budget": {"trials": 9, "pairs_per_trial": 800}},
        "was 900 and is here 800",
    ),
    "other rungs": ({"scheduler": {"min_pairs": 300}}, "rungs was .* and is here 300"),
    "another objective": (
        {"protocol": {"objective": "worst"}},
        "was balanced and is here worst",
    ),
    "another protocol": (
        {"protocol": {"kind": "oracle"}},
        "was zero_shot and is here oracle",
    ),
    "a sampler that learns nothing": ({"sampler": {"kind": "random"}}, "learns from no trial"),
    "no such study": ({"warm_start": ["nothing"]}, "nothing"),
}


@pytest.mark.parametrize(("settings", "said"), WRONG.values(), ids=WRONG)
def test_a_study_that_was_run_otherwise_is_refused(
    earlier: StudyConfig, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        earlier_studies(later(Path(str(earlier.storage)), **settings))


@pytest.mark.parametrize("part", ["data", "encoder"])
def test_other_data_or_another_encoder_is_refused(earlier: StudyConfig, part: str) -> None:
    study = later(Path(str(earlier.storage)))
    found = earlier_studies(study)
    with pytest.raises(UserError, match=f"the {part} of small was another"):
        prior_trials(study, found, facts(**{part: {"checksum": "f" * 64}}))


def test_a_study_of_other_rules_goes_on_only_where_they_choose_nothing(
    study: StudyConfig, tmp_path: Path
) -> None:
    """A search that an earlier version began by TPE or ASHA is refused; a plain one goes on."""
    plain = {"scheduler": {"kind": "none"}, "sampler": {"kind": "random"}}
    free = validate_study({**SETTINGS, **plain, "storage": str(tmp_path), "name": "free"}, "it")
    for each, refused in ((study, True), (free, False)):
        with create(each) as journal:
            record = journal.history.record()
        assert record.rules == 1
        if refused:
            with pytest.raises(UserError, match="other rules"):
                check_rules(record, each)
        else:
            check_rules(record, each)
        check_rules(record.model_copy(update={"rules": RULES}), each)
