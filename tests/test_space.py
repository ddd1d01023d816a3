"""Distributions, conditions, and that a point is drawn as it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tuner.search.sampler import Sampler
from tuner.space import Space
from tuner.study.parts import SamplerConfig

SPACE = Space.model_validate(
    {
        "optim.lr": {"type": "float", "low": 1e-5, "high": 1e-3, "log": True},
        "mix.cross_lingual": {"type": "float", "low": 0, "high": 1, "step": 0.1},
        "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 256},
        "fusion.kind": ["last", "dlfa"],
        "fusion.layer": {"type": "int", "low": 0, "high": 11, "when": {"fusion.kind": ["dlfa"]}},
        "fusion.mode": {
            "type": "choice",
            "values": ["multiply", "select"],
            "when": {"fusion.kind": ["dlfa"]},
        },
        "seed": 7,
    }
)


def check(params: dict[str, object]) -> None:
    """A point keeps every rule of SPACE."""
    assert params["seed"] == 7
    assert 1e-5 <= params["optim.lr"] <= 1e-3  # type: ignore[operator]
    assert params["mix.cross_lingual"] in [round(0.1 * k, 1) for k in range(11)]
    assert params["batch.effective_size"] in [8, 16, 32, 64, 128, 256]
    fused = params["fusion.kind"] == "dlfa"
    assert ("fusion.layer" in params) == ("fusion.mode" in params) == fused
    SPACE.trial_config({}, params)


@given(st.integers(0, 10**9))
def test_every_uniform_draw_is_valid(seed: int) -> None:
    """Random points."""
    check(SPACE.draw(seed))
    assert SPACE.draw(seed) == SPACE.draw(seed)


@settings(max_examples=10, deadline=None)
@given(kind=st.sampled_from(["random", "tpe"]), seed=st.integers(0, 1000))
def test_every_proposal_is_valid_and_a_function_of_seed_and_number(kind: str, seed: int) -> None:
    """Optuna's points; the same from a sampler that has seen the same."""
    config = SamplerConfig.model_validate({"kind": kind, "seed": seed, "startup_trials": 1})
    first, second = Sampler(SPACE, config), Sampler(SPACE, config)
    for number in range(4):
        params = first.propose(number)
        check(params)
        assert second.propose(number) == params


def test_extremes_reach_every_end() -> None:
    """Both ends of every range, every choice, with conditions fulfilled."""
    points = list(SPACE.extremes())
    for name, ends in {
        "optim.lr": {1e-5, 1e-3},
        "mix.cross_lingual": {0.0, 1.0},
        "batch.effective_size": {8, 256},
        "fusion.layer": {0, 11},
        "fusion.mode": {"multiply", "select"},
    }.items():
        assert ends <= {point.get(name) for point in points}
    for point in points:
        check(point)


def test_steps_are_written_as_people_write_them() -> None:
    """0.3, not 0.30000000000000004."""
    space = Space.model_validate({"mix.cross_lingual": dict(type="float", low=0, high=1, step=0.1)})
    drawn = {space.draw(seed)["mix.cross_lingual"] for seed in range(200)}
    assert drawn == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}


def test_circular_conditions_are_refused() -> None:
    """Neither could be drawn first."""
    with pytest.raises(ValidationError, match="circle"):
        Space.model_validate(
            {
                "fusion.kind": {"type": "choice", "values": ["last"], "when": {"seed": [1]}},
                "seed": {"type": "choice", "values": [1], "when": {"fusion.kind": ["last"]}},
            }
        )
