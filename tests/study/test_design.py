"""The design block: what it refuses, in words; and what it plans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.scaling.studies import SETTINGS, planned
from tuner.errors import UserError
from tuner.jobs.staging import stage
from tuner.study import StudyConfig
from tuner.study.file import load_study, validate_study
from tuner.study.planned import budgets, full_budget, planned_configs, planned_params, sizes

CONFIRM: dict[str, Any] = {
    "kind": "confirm",
    "study": "abc",
    "arms": [{"name": "control", "settings": {}}],
    "seeds": [1, 2],
}
TWO_KINDS: dict[str, Any] = {
    "batch.effective_size": [16, 32],
    "mix.cross_lingual": [0.0, 0.5],
    "fusion.kind": ["dlfa", "sum"],
    "fusion.layer": [2],
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scheduler": {"kind": "asha", "min_pairs": 10}}, "scheduler: {kind: none}"),
        ({"budget__trials": 10}, "the design has 126 trials"),
        ({"sampler": {"kind": "grid"}}, "a design has no sampler"),
        ({"baseline": {"mix.cross_lingual": 0.0}}, "a design has no baseline"),
        ({"space__optim.weight_decay": [0.0, 0.1]}, "space.optim.weight_decay: a scaling study"),
        ({"space__seed": [1, 2]}, "space.seed: a scaling study varies"),
        ({"space": {"mix.cross_lingual": [0.0, 1.0]}}, "varies batch.effective_size"),
        ({"trial": {"optim.lr": 1e-3}}, "leave trial.optim.lr out"),
        ({"design__tuning__at": {"batch.effective_size": 32}}, "must be a setting of the space"),
        ({"design__tuning__at": {"head.dropout": 0.1}}, "must be a setting of the space"),
        ({"design__tuning__at": {"seed": 3}}, "seed must be left out"),
        ({"design__tuning__lr": [1e-3, 1e-4, 1e-2]}, "must be ascending"),
        ({"design__tuning__lr": [1e-4, 1e-4, 1e-2]}, "must be ascending"),
        ({"design__tuning__lr": [1e-4, 1e-3]}, "at least 3"),
        ({"design__tuning__seeds": [1]}, "share 1: a seed used to choose a learning rate"),
        ({"design__tuning__seeds": [8, 8]}, "design.tuning.seeds must be distinct"),
        ({"design__seeds": [1, 1]}, "design.seeds must be distinct"),
        ({"design__seeds": []}, "design.seeds must have at least 2 seeds"),
        ({"design__seeds": [1]}, "at least 2 seeds: one seed says nothing about others"),
        ({"design__hold": "epochs"}, "'pairs' or 'steps'"),
        ({"design__kind": "grid"}, "design"),
        (
            {"require": ["mix.cross_lingual < 0.5 or batch.effective_size < 64"]},
            "at violates a requ",
        ),
        ({"space": TWO_KINDS}, "with one kind of fusion, got dlfa, sum"),
        ({"space__mix.cross_lingual": {"type": "float", "low": 0, "high": 1}}, "infinitely many"),
        ({"languages": {"source": ["en"], "target": ["ja"]}}, "need two source languages"),
        ({"design": CONFIRM}, "a confirmation has no space"),
        ({"design": CONFIRM | {"seeds": [1, 1]}, "space": {}}, "design.seeds must be distinct"),
        ({"design": CONFIRM | {"arms": CONFIRM["arms"] * 2}, "space": {}}, "design.arms must be"),
        (
            {"design": CONFIRM | {"arms": [{"name": "a", "settings": {"seed": 1}}]}, "space": {}},
            "seed must be left out",
        ),
    ],
)
def test_what_a_design_does_not_go_with_is_refused(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        planned(tmp_path, **changes)


def test_every_point_with_every_seed_and_a_grid_of_rates_for_every_size(tmp_path: Path) -> None:
    """3 B x 3 rates x 2 seeds, and 3 B x 3 β x 2 layers x 2 granularities x 3 seeds."""
    study = planned(tmp_path)
    params = planned_params(study)
    assert sizes(study) == [16, 32, 64]
    assert study.trials == len(params) == 18 + 36 * 3
    assert len({tuple(sorted((k, str(v)) for k, v in p.items())) for p in params}) == len(params)
    assert {p["seed"] for p in params[:18]} == {8, 9}
    assert all(p["mix.cross_lingual"] == 0.5 for p in params[:18])


def test_all_that_can_be_trained_is_checked_beforehand(tmp_path: Path) -> None:
    """At both ends of the rates, whichever will be chosen."""
    configs = list(planned_configs(planned(tmp_path)))
    assert {c.optim.lr for c in configs} == {1e-4, 1e-3, 1e-2}
    assert {c.batch.effective_size for c in configs if c.optim.lr == 1e-2} == {16, 32, 64}


def test_equal_pairs_and_equal_steps(tmp_path: Path) -> None:
    """640 pairs, or the 20 steps that they are at 32 pairs each; never less than that."""
    by_pairs, by_steps = planned(tmp_path), planned(tmp_path, design__hold="steps")
    assert budgets(by_pairs) == (640,) and budgets(by_steps) == (320, 640, 1280)
    assert by_steps.rungs_at(64) == (1280,)
    odd = planned(tmp_path, design__hold="steps", budget={"pairs_per_trial": 641})
    assert full_budget(odd.design, 641, 16) == 321  # 21 steps of 16, as 641 are 21 of 32
    assert {-(-full_budget(odd.design, 641, size) // size) for size in (16, 32, 64)} == {21}


@pytest.mark.parametrize("name", ["nano_scaling", "pawsx_scaling"])
@pytest.mark.parametrize("hold", ["pairs", "steps"])
def test_shipped_designs_hold_either(name: str, hold: str) -> None:
    study = _shipped(name, hold)
    assert study.design is not None and study.trials > 200


def _shipped(name: str, hold: str) -> StudyConfig:
    from tuner.study.file import load_study

    path = Path(__file__).parents[2] / "search_spaces" / f"{name}.yaml"
    return load_study(path, [f"design.hold={hold}", "name=other"])


def test_a_design_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    study = planned(tmp_path, design__hold="steps")
    assert validate_study(study.model_dump(mode="json"), "the journal") == study


def test_a_confirmation_is_not_written_by_hand(tmp_path: Path) -> None:
    """Else `tuner search` would read test, as often as there are names."""
    file = tmp_path / "hand.yaml"
    file.write_text(json.dumps({**SETTINGS, "space": {}, "design": CONFIRM}))
    with pytest.raises(UserError, match="only tuner confirm") as refused:
        load_study(file)
    assert "tuner confirm STUDY" in refused.value.remedy
    with pytest.raises(UserError, match="only tuner confirm"):
        stage(file, ["storage=s3://bucket/studies"])  # of `tuner submit`
