"""The order of trials for a sampler: by their values at one rung, however they ended."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.examples import anything
from tuner.search.observations import COMPARED, Fate, Observation, Observations
from tuner.search.optuna_samplers import MODELLED, Tpe
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.feasible import Feasible


def known(number: int, *values: float, fate: Fate = "resting") -> Observation:
    return Observation(
        number, {"seed": number}, dict(zip((100, 300, 900), values, strict=False)), fate
    )


def test_the_modelled_rung_is_the_highest_that_enough_have_reached() -> None:
    trials = [known(0, 0.5, 0.6, 0.7), known(1, 0.4, 0.5), known(2, 0.3), known(3)]
    assert [Observations(trials).highest_rung(n) for n in (1, 2, 3, 4)] == [900, 300, 100, None]
    assert Observations().highest_rung(1) is None


def test_the_order_is_that_of_the_values_there_whatever_became_of_the_trials() -> None:
    """By hand: a complete trial is worse than a stopped one that was better at the rung."""
    trials = [
        known(0, 0.5, 0.60, 0.9),
        known(1, 0.6, 0.65),  # stopped at the modelled rung
        known(2, 0.7, 0.55, fate="open"),  # on its way beyond it
        known(3, 0.3),  # stopped below
        known(4, 0.4),
        known(5, 0.2, fate="open"),  # on its way to it
        known(6, 0.9, 0.9, fate="diverged"),
        known(7, 0.8, fate="unknown"),
        known(8, fate="diverged"),
    ]
    order = Observations(trials).ranked(300)
    assert [each.number for each, _ in order] == [1, 0, 2, 4, 3, 6, 8]
    values = [value for _, value in order]
    assert values[:3] == [0.65, 0.60, 0.55]
    assert values == sorted(values, reverse=True) and values[5] == values[6] < values[4] < 0.55


def tpe() -> Tpe:
    space = Space.model_validate({"mix.cross_lingual": {"type": "float", "low": 0, "high": 1}})
    return Tpe(Feasible(space, {}, []), SamplerConfig(kind="tpe", startup_trials=4))


def proposals(trials: list[Observation]) -> list[float]:
    sampler = tpe()
    points = [sampler.next_point(100 + n, Observations(trials), anything) for n in range(30)]
    return [float(point["mix.cross_lingual"]) for point in points if point is not None]


@pytest.mark.parametrize("at", [0.2, 0.8])
def test_tpe_goes_where_the_values_at_the_rung_are_best(at: float) -> None:
    """The complete trials lie elsewhere: those were early, and passed for free."""
    chance = random.Random(0)
    trials = []
    for number in range(40):
        place = chance.random()
        value = 1 - abs(place - at)
        complete = number < 3
        values = {100: 0.1 if complete else value, **({900: 0.9} if complete else {})}
        point = {"mix.cross_lingual": 1 - at if complete else place}
        trials.append(Observation(number, point, values, "resting"))
    near = sum(abs(each - at) < 0.25 for each in proposals(trials))
    assert near > 20, "of 30; a uniform draw would have 15, and a sixth of them are drawn so"


def test_a_sixth_of_the_proposals_do_not_look_at_the_trials() -> None:
    """They cover the whole range, wherever the trials were good."""
    trials = [
        Observation(n, {"mix.cross_lingual": 0.1 + n / 4000}, {100: 1.0 - n}, "resting")
        for n in range(40)
    ]
    sampler = tpe()
    points = [sampler.next_point(n, Observations(trials), anything) for n in range(100, 500)]
    far = [p for p in points if p is not None and float(p["mix.cross_lingual"]) > 0.5]
    assert 0.5 < len(far) / (400 / 6 / 2) < 1.6, "half of a sixth lies there"


def test_a_trial_under_way_keeps_others_away() -> None:
    """The constant liar: what runs counts as bad until it is known."""
    trials = [
        Observation(n, {"mix.cross_lingual": n / 20}, {100: -abs(n / 20 - 0.5)}, "resting")
        for n in range(21)
    ]
    running = [
        Observation(50 + n, {"mix.cross_lingual": 0.45 + n / 100}, {}, "open") for n in range(10)
    ]
    alone = sum(abs(each - 0.5) < 0.06 for each in proposals(trials))
    beside = sum(abs(each - 0.5) < 0.06 for each in proposals(trials + running))
    assert beside < alone


def test_of_many_trials_the_best_and_the_latest_are_modelled() -> None:
    count = 10 * MODELLED
    trials = [
        Observation(n, {"mix.cross_lingual": n / count}, {100: float(n % 1000)}, "resting")
        for n in range(count)
    ]
    values = [trial.value for trial in tpe().modelled(Observations(trials))]
    assert len(values) == MODELLED
    best = sorted((float(n % 1000) for n in range(count)), reverse=True)[: MODELLED // 2]
    assert values[: MODELLED // 2] == best


def by_hand(trials: Iterable[Observation], rung: int) -> list[Observation]:
    """The order as it is defined, from all trials at once."""

    def place(each: Observation) -> tuple[float, ...]:
        if each.fate == "diverged":
            return 2, each.number
        if rung in each.values:
            return 0, -each.values[rung], each.number
        return 1, -max(each.values), -each.values[max(each.values)], each.number

    known = {"open": lambda each: rung in each.values, "unknown": lambda each: False}
    return sorted(filter(lambda e: known.get(e.fate, lambda e: True)(e), trials), key=place)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 12), only_there=st.booleans())
def test_what_is_kept_up_to_date_is_what_one_would_find_anew(
    seed: int, most: int, only_there: bool
) -> None:
    """Trials come and change in any order, and two rungs are asked for in turn."""
    chance = random.Random(seed)
    fates: list[Fate] = ["open", "resting", "resting", "diverged", "unknown"]
    now: dict[int, Observation] = {}
    kept = Observations()
    for _ in range(chance.randint(0, 60)):
        number = chance.randint(-5, 30)
        values = (round(chance.random(), 1) for _ in range(chance.randint(1, 3)))
        now[number] = known(number, *values, fate=chance.choice(fates))
        kept.put(now[number])
        if chance.random() < 0.3:
            kept.ranked(chance.choice((100, 300)))
    rung = chance.choice((100, 300, 900))
    assert list(kept) == [now[number] for number in sorted(now)]
    there = [each for each in now.values() if rung in each.values and each.fate in COMPARED]
    for least in range(1, 6):
        enough = [
            r
            for r in (100, 300, 900)
            if sum(r in each.values for each in now.values() if each.fate in COMPARED) >= least
        ]
        assert kept.highest_rung(least) == max(enough, default=None)
    assert kept.below(rung) == [
        each for each in kept if each.fate == "open" and rung not in each.values
    ]
    order = by_hand(there if only_there else now.values(), rung)
    ranked = kept.ranked(rung, only_there=only_there)
    assert [each for each, _ in ranked] == order
    assert all(value == each.values[rung] for each, value in ranked if each in there)
    best, rest = order[: most // 2], sorted(order[most // 2 :], key=lambda each: each.number)
    expected = [each.number for each in best + rest[-(most - most // 2) :]]
    found = kept.ranked(rung, most, only_there=only_there)
    assert [each for each, _ in found] == [each for each in order if each.number in expected]
    values = [value for _, value in found]
    assert values == sorted(values, reverse=True)
