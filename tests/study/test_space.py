"""Distributions, conditions, requirements, and that a point is drawn as it is written."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tuner.study.space import Space
from tuner.study.space.distributions import Distribution, Float, Int, PowerOfTwo, possible
from tuner.study.space.feasible import Feasible

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


def test_extremes_reach_every_end() -> None:
    """Both ends of every range, every choice, with conditions fulfilled."""
    points = list(Feasible(SPACE, {}, []).extremes())
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
    with pytest.raises(ValidationError, match="cycle"):
        Space.model_validate(
            {
                "fusion.kind": {"type": "choice", "values": ["last"], "when": {"seed": [1]}},
                "seed": {"type": "choice", "values": [1], "when": {"fusion.kind": ["last"]}},
            }
        )


CHAIN = Space.model_validate(
    {
        "fusion.reduction": {
            "type": "power_of_two",
            "low": 1,
            "high": 4,
            "when": {"fusion.mode": ["select"], "fusion.kind": ["dlfa"]},
        },
        "fusion.mode": {
            "type": "choice",
            "values": ["multiply", "select"],
            "when": {"fusion.layer": [1, 2]},
        },
        "fusion.layer": {
            "type": "int",
            "low": 0,
            "high": 2,
            "when": {"fusion.kind": ["sum", "dlfa", "concat"]},
        },
        "fusion.kind": {
            "type": "choice",
            "values": ["last", "sum", "dlfa"],
            "when": {"mix.cross_lingual": [0.25, 0.5]},
        },
        "mix.cross_lingual": {"type": "float", "low": 0, "high": 0.5, "step": 0.25},
    }
)
"""Five parameters, each conditional on the one below it; the first on two."""


def chain_by_hand() -> set[frozenset[tuple[str, Any]]]:
    """All points of CHAIN, from the product of all values and the rules written out again."""
    points = set()
    for beta, kind, layer, mode, reduction in product(
        (0.0, 0.25, 0.5), ("last", "sum", "dlfa"), (0, 1, 2), ("multiply", "select"), (1, 2, 4)
    ):
        point: dict[str, Any] = {"mix.cross_lingual": beta}
        if beta > 0:
            point["fusion.kind"] = kind
            if kind != "last":
                point["fusion.layer"] = layer
                if layer > 0:
                    point["fusion.mode"] = mode
                    if mode == "select" and kind == "dlfa":
                        point["fusion.reduction"] = reduction
        points.add(frozenset(point.items()))
    return points


def test_conditions_nest() -> None:
    """A parameter is absent where what it depends on is: drawn, at the ends, enumerated."""
    by_hand = chain_by_hand()
    points = CHAIN.points(1000)
    assert points is not None
    enumerated = [frozenset(point.items()) for point in points]
    assert len(enumerated) == len(by_hand) and set(enumerated) == by_hand
    assert {frozenset(CHAIN.draw(seed).items()) for seed in range(2000)} == by_hand
    extremes = list(Feasible(CHAIN, {}, []).extremes())
    assert all(frozenset(point.items()) in by_hand for point in extremes)
    for name, distribution in CHAIN.root.items():
        reached = {point[name] for point in extremes if name in point}
        assert set(distribution.ends()) <= reached


def test_a_chain_is_fulfilled_as_a_whole() -> None:
    """Points suit both of two parameters that ask for different values of a third."""
    for seed in range(50):
        point = CHAIN.draw_with("fusion.reduction", 4, random.Random(seed))
        assert point is not None and point["fusion.reduction"] == 4
        assert point["fusion.kind"] == "dlfa" and point["fusion.layer"] in (1, 2)
    never = Space.model_validate(
        {
            "fusion.kind": ["last", "dlfa"],
            "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["sum"]}},
        }
    )
    assert never.draw_with("fusion.layer", 0, random.Random(0)) is None
    assert len(list(Feasible(never, {}, []).extremes())) == 2


@pytest.mark.parametrize("at_most", [1, 10, 30, 31])
def test_too_many_points_are_not_enumerated(at_most: int) -> None:
    points = CHAIN.points(at_most)
    assert (points is None) == (at_most < len(chain_by_hand()))


def test_endless_spaces_are_not_enumerated() -> None:
    """Nor is a step so small that its values would fill the memory."""
    for range_ in ({"log": True}, {}, {"step": 1e-14}):
        lr = {"type": "float", "low": 1e-5, "high": 1, **range_}
        assert Space.model_validate({"optim.lr": lr}).points(100) is None
    unused = {
        "fusion.kind": "last",
        "optim.lr": {"type": "float", "low": 1e-5, "high": 1, "when": {"fusion.kind": ["dlfa"]}},
    }
    assert Space.model_validate(unused).points(100) == [{"fusion.kind": "last"}]


def test_values_of_distributions() -> None:
    """All of them, and no other is possible."""
    tenths = Float(type="float", low=0.1, high=0.75, step=0.1)
    ranges: list[tuple[Distribution, list[Any]]] = [
        (tenths, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (Int(type="int", low=1, high=9, step=3), [1, 4, 7]),
        (PowerOfTwo(type="power_of_two", low=2, high=16), [2, 4, 8, 16]),
    ]
    for distribution, values in ranges:
        assert list(distribution.grid() or ()) == values
        assert all(possible(distribution, value) for value in values)
        assert not any(possible(distribution, value) for value in (0, 3, 0.35, 0.8, 10, 32, "a"))
    smooth = Float(type="float", low=0.1, high=0.75)
    assert possible(smooth, 0.1) and possible(smooth, 0.4321) and not possible(smooth, 0.8)


def test_the_grid_is_what_is_left_of_the_product() -> None:
    """Conditions, requirements, fixed settings and defaults against a product worked out here."""
    space = Space.model_validate(
        {
            "seed": {"type": "int", "low": 0, "high": 4, "step": 2},
            "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
            "fusion.kind": ["last", "concat", "dlfa"],
            "fusion.layer": {
                "type": "int",
                "low": 0,
                "high": 3,
                "when": {"fusion.kind": ["concat", "dlfa"]},
            },
            "optim.lr": [1e-4, 5e-4, 2e-3],
        }
    )
    require = [
        "optim.lr * batch.effective_size <= 0.032",
        'fusion.kind == "dlfa" or fusion.layer != 2',
        "batch.effective_size >= batch.micro_size",  # which is fixed at 16
    ]
    feasible = Feasible(space, {"batch.micro_size": 16}, require)
    expected = {
        (seed, size, kind, layer if kind != "last" else None, lr)
        for seed, size, kind, layer, lr in product(
            (0, 2, 4), (8, 16, 32, 64), ("last", "concat", "dlfa"), range(4), (1e-4, 5e-4, 2e-3)
        )
        if lr * size <= 0.032 and size >= 16 and not (kind == "concat" and layer == 2)
    }
    points = [tuple(point.get(name) for name in space.root) for point in feasible.grid()]
    assert len(points) == len(expected) and set(points) == expected

    tally = feasible.tally(1000, draws=0)
    assert tally.complete and tally.points == 3 * 4 * 9 * 3 and tally.feasible == len(expected)
    assert tally.excluded == {
        require[0]: 3 * 2 * 9,  # the highest lr at B = 32 and at 64
        require[1]: 3 * 4 * 3,
        require[2]: 3 * 9 * 3,
    }
    sample = feasible.tally(10, draws=500)
    assert not sample.complete and sample.points == 500
    assert sample.feasible / 500 == pytest.approx(len(expected) / tally.points, abs=0.1)


def test_what_requirements_see_is_the_trial() -> None:
    """Every setting as the trial will have it, also a fixed layer that does not apply."""
    space = Space.model_validate({"fusion.kind": ["last", "sum"], "optim.lr": [1e-5, 1e-3]})
    fixed = {"fusion.layer": 2, "batch.effective_size": 8}
    feasible = Feasible(space, fixed, ["fusion.layer < 1"])
    for point in space.points(10) or ():
        assert feasible.values(point) == space.trial_config(fixed, point).flat()
    assert {point["fusion.kind"] for point in feasible.grid()} == {"last"}
    assert feasible.complaint({"fusion.kind": "sum"}) == (
        "'fusion.layer < 1' does not hold: fusion.layer is 2"
    )
    assert feasible.complaint({"fusion.kind": "last"}) == ""


def test_seeds_can_be_an_axis() -> None:
    for seeds in ([0, 1, 2], {"type": "int", "low": 0, "high": 2}):
        space = Space.model_validate({"seed": seeds, "fusion.kind": "last"})
        grid = Feasible(space, {}, []).grid()
        assert [space.trial_config({}, point).seed for point in grid] == [0, 1, 2]
