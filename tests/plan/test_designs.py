"""Plans of designs: what chooses rates and what is compared, equal pairs or steps, the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.examples import printed
from tests.scaling.studies import planned
from tuner.model.shape import EncoderShape
from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.pace import Pace
from tuner.plan.plan import make_plan
from tuner.plan.simulation import play
from tuner.run.disk import disk_need
from tuner.study.file import validate_study

PACE = Pace(0.01, 0.0, {"last": 1.0, "dlfa": 1.0}, 0.0, 7.0, 0.0, "recorded by earlier: 3 trials")


def test_a_scaling_study_is_not_told_as_a_search(tmp_path: Path) -> None:
    text = " ".join(printed(planned(tmp_path), PACE).split())
    assert "126, planned, each to its full budget" in text
    assert "18 choose learning rates: 3 B x 3 x 2 seeds" in text
    assert "108: 36 configurations x 3 seeds" in text and "640 pairs per trial" in text
    for word in ("TPE", "sampler", "ASHA", "budget.trials", "more than once"):
        assert word not in text


def test_equal_steps_are_planned_as_such(tmp_path: Path) -> None:
    """A third of the trials of each kind at each budget: 320, 640 and 1,280 pairs."""
    study = planned(tmp_path, design__hold="steps")
    plan = make_plan(study, PACE, encoder=None)
    assert plan.rungs == (320, 640, 1280) and plan.reached == (42.0, 42.0, 42.0)
    assert plan.pairs == 42 * (320 + 640 + 1280)
    assert {batch.steps for batch in plan.batches} == {20}
    assert "20 steps per trial" in printed(study, PACE)


def test_what_is_compared_waits_for_all_rates(tmp_path: Path) -> None:
    """With a place for each: 640 pairs of tuning, 6.4 s, and as many again."""
    study = planned(tmp_path)
    at_once = play(study, study.trials, at_once=200, pace=PACE, sets=EvaluationSets(0, 0), seed=0)
    assert at_once.seconds == pytest.approx(7 + 2 * 6.4)
    assert at_once.reached == (126,) and at_once.pairs == 126 * 640
    one = play(study, study.trials, at_once=1, pace=PACE, sets=EvaluationSets(0, 0), seed=0)
    assert one.seconds == pytest.approx(7 + 126 * 6.4)


def test_a_confirmation_is_arms_times_seeds(tmp_path: Path) -> None:
    settings = planned(tmp_path).model_dump(mode="json") | {
        "space": {},
        "design": {
            "kind": "confirm",
            "study": "abc",
            "arms": [{"name": name, "settings": {}} for name in ("control", "trial 003")],
            "seeds": [5, 6, 7],
        },
    }
    confirmed = validate_study(settings, "the test")
    text = " ".join(printed(confirmed, PACE).split())
    assert "6, planned" in text and "2 configurations x 3 seeds" in text
    shape = EncoderShape(num_layers=4, hidden_size=8, parameters=1_000_000)
    assert disk_need(confirmed, shape, 2).keep_best == 6, "each is evaluated on test in the end"
    assert disk_need(planned(tmp_path), shape, 2).keep_best == 0, "a design has no best"
