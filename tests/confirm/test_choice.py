"""The recommendation and what is left to do follow from the records alone."""

from __future__ import annotations

import pytest

from tests.confirm.examples import confirmed
from tests.records import with_facts
from tuner.journal.records import StudyRecord
from tuner.search.recommend import all_ended, concluded, objectives, recommendation, untested
from tuner.study.design import ConfirmDesign

ONES = {"en": 4, "de": 4, "es": 4, "ja": 4}


def dev(en: int, de: int, es: int = 0) -> dict[str, int]:
    return {"en": en, "de": de, "es": es}


def design_of(study: StudyRecord) -> ConfirmDesign:
    assert isinstance(study.settings.design, ConfirmDesign)
    return study.settings.design


def test_the_highest_mean_of_arms_with_all_seeds() -> None:
    """`lucky` has the best seed, `broken` the best mean but a seed that failed: it loses fewer
    runs to leave out the arm (2) than the seed (4)."""
    arms = {
        "control": [(dev(4, 4), ONES), (dev(4, 4), ONES)],
        "lucky": [(dev(8, 8), ONES), (dev(1, 0), ONES)],
        "steady": [(dev(6, 5), ONES), (dev(6, 6), ONES)],
        "broken": [(dev(8, 8), ONES), None],
    }
    study = confirmed(arms, "steady")
    design = design_of(study)
    assert objectives(design, study.trials) == {
        "control": pytest.approx(8 / 16),
        "lucky": pytest.approx(17 / 32),
        "steady": pytest.approx(23 / 32),
    }
    chosen = recommendation(design, study.trials)
    assert chosen is not None and chosen.arm == "steady"


def test_of_equal_ones_the_first_and_target_dev_changes_nothing() -> None:
    for es in (0, 8):
        arms = {
            "control": [(dev(5, 5), ONES), (dev(5, 5), ONES)],
            "trial 001": [(dev(4, 6, es), ONES), (dev(5, 5, es), ONES)],
        }
        study = confirmed(arms, "control")
        chosen = recommendation(design_of(study), study.trials)
        assert chosen is not None and chosen.arm == "control"


def test_arms_that_lack_a_seed_are_compared_over_the_others() -> None:
    arms = {
        "control": [(dev(5, 5), ONES), None, (dev(4, 4), ONES)],
        "trial 001": [(dev(5, 6), ONES), None, (dev(5, 4), ONES)],
    }
    study = confirmed(arms, "control")
    assert objectives(design_of(study), study.trials) == {
        "control": pytest.approx(18 / 32),
        "trial 001": pytest.approx(20 / 32),
    }


def test_none_where_no_run_is_complete() -> None:
    study = confirmed({"control": [None, None]}, "control")
    assert recommendation(design_of(study), study.trials) is None
    unchosen = study.model_copy(update={"recommendation": None})
    assert concluded(design_of(study), unchosen), "nothing else can come of it"


def test_what_is_left() -> None:
    """Trials, then the recommendation, then test; without test nothing after it."""
    done = confirmed({"control": [(dev(5, 5), ONES), (dev(5, 5), {})]}, "control")
    design = design_of(done)
    assert all_ended(design, done) and not concluded(design, done)
    assert [trial.number for trial in untested(done)] == [1]
    assert not all_ended(design, done.model_copy(update={"trials": done.trials[:1]}))
    assert not concluded(design, done.model_copy(update={"recommendation": None}))
    no_test = {**done.facts.data.counts, "test": {}}
    assert concluded(design, with_facts(done, data={"counts": no_test}))
