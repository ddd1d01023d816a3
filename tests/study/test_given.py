"""Points that users give: enqueued in the file, or added while the study runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.examples import SETTINGS
from tuner.errors import UserError
from tuner.study.file import validate_study
from tuner.study.given import check_enqueued_fit, given_point


def made(**settings: Any) -> Any:
    return validate_study({**SETTINGS, **settings}, "the test")


def test_what_is_left_out_has_its_value_from_trial_or_its_default() -> None:
    study = made(trial={"optim.lr": 5e-4, "batch.effective_size": 16})
    point = given_point(study, {"mix.cross_lingual": 0.5})
    assert point == {
        "optim.lr": 5e-4,
        "mix.cross_lingual": 0.5,
        "batch.effective_size": 16,
        "fusion.kind": "last",
    }
    fused = given_point(study, {"fusion.kind": "dlfa", "fusion.layer": 2, "optim.lr": 1e-3})
    assert fused["fusion.layer"] == 2 and study.space.holds(fused)


WRONG = {
    "no setting of the space": {"optim.weight_decay": 0.1},
    "no setting at all": {"optim.rate": 0.1},
    "out of its range": {"optim.lr": 0.5},
    "between two steps": {"mix.cross_lingual": 0.55},
    "no power of two": {"batch.effective_size": 24},
    "of another type": {"optim.lr": "fast"},
    "a condition does not hold": {"fusion.kind": "last", "fusion.layer": 2},
    "a condition needs more": {"fusion.kind": "dlfa"},
}


@pytest.mark.parametrize("settings", WRONG.values(), ids=WRONG)
def test_what_is_no_point_of_the_space_is_refused_in_both_ways(settings: dict[str, Any]) -> None:
    given = {"optim.lr": 1e-3, **settings}
    with pytest.raises(UserError):
        given_point(made(), given)
    with pytest.raises(UserError, match="enqueue, point 2"):
        made(enqueue=[{"optim.lr": 2e-3}, given])


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"optim.lr": 0.5}, "optim.lr=0.5 lies outside the space of .*a number from"),
        ({"mix.cross_lingual": 0.55}, "in steps of 0"),
        ({"batch.effective_size": 24}, "a power of two from"),
        ({"fusion.kind": "sum"}, "last, dlfa"),
        (
            {"fusion.kind": "last", "fusion.layer": 2},
            "fusion.layer=2 applies only with",
        ),
        ({"fusion.kind": "dlfa"}, "leave out fusion.layer.*layer: a whole number"),
    ],
)
def test_the_message_names_the_setting_and_what_is_allowed(
    settings: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(UserError) as refused:
        given_point(made(), {"optim.lr": 1e-3, **settings})
    assert re.search(allowed, f"{refused.value.problem} {refused.value.remedy}")


def test_a_setting_that_the_space_fixes_has_its_value() -> None:
    study = made(space={**made().model_dump()["space"], "head.dropout": 0.25})
    assert given_point(study, {"optim.lr": 1e-3})["head.dropout"] == 0.25


def test_more_points_than_trials_are_refused_before_a_study_begins() -> None:
    study = made(enqueue=[{"optim.lr": 1e-3}], budget={"trials": 2, "pairs_per_trial": 100})
    check_enqueued_fit(study)
    few = study.model_copy(update={"budget": study.budget.model_copy(update={"trials": 1})})
    with pytest.raises(UserError, match=r"budget.trials is 1, .* are 2 trials"):
        check_enqueued_fit(few)


def test_a_requirement_holds_for_them_too() -> None:
    with pytest.raises(UserError, match=r"optim\.lr is 0\.009"):
        made(require=["optim.lr <= 5e-3"], enqueue=[{"optim.lr": 9e-3}])


def test_a_point_that_comes_twice_is_refused() -> None:
    twice = [{"optim.lr": 1e-3}, {"optim.lr": 1e-3, "fusion.kind": "last"}]
    with pytest.raises(UserError, match="point 2: the baseline or an earlier point"):
        made(enqueue=twice)
    with pytest.raises(UserError, match="point 1: the baseline"):
        made(
            trial={"optim.lr": 1e-3, "batch.effective_size": 16}, enqueue=[{"fusion.kind": "last"}]
        )
