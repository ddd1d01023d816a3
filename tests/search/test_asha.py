"""ASHA on recorded curves, against a brute-force reading of its definition."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.search.asha import NEAR, Asha

RUNGS = (100, 300, 900)
Arrival = tuple[int, int, float]
Variant = Literal["stopping", "promotion"]
PLAYS = {
    "seed": st.integers(0, 10_000),
    "eta": st.integers(2, 4),
    "trials": st.integers(1, 40),
    "ties": st.booleans(),
    "protect": st.booleans(),
}


def best(arrivals: list[Arrival], rung: int, eta: int) -> list[tuple[float, int]]:
    """The values and trials that pass at a rung: the best floor(n / eta) of its n."""
    known = sorted((-value, trial) for trial, at, value in arrivals if at == rung)
    return [(-value, trial) for value, trial in known[: len(known) // eta]]


def needed(arrivals: list[Arrival], rung: int, eta: int) -> float:
    """The value that a trial needs to go on: that of the last that passes, else the best known."""
    known = [value for _, at, value in arrivals if at == rung]
    passing = best(arrivals, rung, eta)
    return passing[-1][0] if passing else max(known, default=float("-inf"))


def curves_of(seed: int, trials: int, ties: bool) -> dict[int, list[float]]:
    chance = random.Random(seed)
    return {t: [round(chance.random(), 1 if ties else 9) for _ in RUNGS] for t in range(trials)}


@settings(max_examples=100, deadline=None)
@given(**PLAYS)
def test_every_decision_on_recorded_curves_equals_the_definition(
    seed: int, eta: int, trials: int, ties: bool, protect: bool
) -> None:
    """Curves arrive interleaved, as from parallel workers; a stopped trial sends no more.

    After every arrival each running trial is held to the bar again, at some place on its way.
    """
    chance = random.Random(seed)
    curves = curves_of(seed, trials, ties)
    protected = {0} if protect else set()
    asha = Asha(RUNGS, eta, "stopping", protected)
    position = dict.fromkeys(curves, 0)
    arrivals: list[Arrival] = []
    while position:
        trial = chance.choice(sorted(position))
        index = position[trial]
        arrivals.append((trial, RUNGS[index], curves[trial][index]))
        asha.arrived(*arrivals[-1])
        passes = curves[trial][index] >= needed(arrivals, RUNGS[index], eta) or trial in protected
        at_the_end = index == len(RUNGS) - 1
        assert asha.decision(trial) == ("continue" if passes and not at_the_end else "stop")
        position[trial] += 1
        if not passes or at_the_end:
            del position[trial]
        for other, done in list(position.items()):
            if done == 0:
                assert not asha.falls(other, 50)
                continue
            share = chance.random()
            before, after = RUNGS[done - 1], RUNGS[done]
            bar = needed(arrivals, before, eta)
            below = curves[other][done - 1] < bar and other not in protected
            falls = asha.falls(other, round(before + share * (after - before)))
            assert falls == (below and round(share * (after - before)) < NEAR * (after - before))
            if falls:
                del position[other]


def promoted(
    asha: Asha, curves: dict[int, list[float]], chance: random.Random, workers: int
) -> Iterator[Arrival]:
    """Arrivals of a search that pauses and resumes trials, in some order of its workers."""
    reached = dict.fromkeys(curves, 0)
    fresh, running, paused = list(curves), [], set()
    while True:
        while len(running) < workers:
            resumed = asha.promotable(paused)
            if resumed is not None:
                paused.remove(resumed)
                running.append(resumed)
            elif fresh:
                running.append(fresh.pop(0))
            else:
                break
        if not running:
            return
        trial = running.pop(chance.randrange(len(running)))
        index = reached[trial]
        asha.arrived(trial, RUNGS[index], curves[trial][index])
        yield trial, RUNGS[index], curves[trial][index]
        reached[trial] += 1
        match asha.decision(trial):
            case "continue":
                running.append(trial)
            case "pause":
                paused.add(trial)
            case "stop":
                assert reached[trial] == len(RUNGS)


@settings(max_examples=100, deadline=None)
@given(**PLAYS, workers=st.integers(1, 6))
def test_in_the_end_the_best_of_each_rung_are_promoted_in_any_order(
    seed: int, eta: int, trials: int, ties: bool, protect: bool, workers: int
) -> None:
    """The top floor(n / eta) of the n at a rung are at the next; nobody else but early birds is."""
    curves, chance = curves_of(seed, trials, ties), random.Random(seed)
    asha = Asha(RUNGS, eta, "promotion", {0} if protect else ())
    arrivals: list[Arrival] = []
    passed: dict[int, set[int]] = {rung: set() for rung in RUNGS}  # at any time, by definition
    for arrival in promoted(asha, curves, chance, workers):
        arrivals.append(arrival)
        for rung in RUNGS:
            passed[rung] |= {trial for _, trial in best(arrivals, rung, eta)}
    at = {rung: {trial for trial, reached, _ in arrivals if reached == rung} for rung in RUNGS}
    assert at[RUNGS[0]] == set(curves)
    for rung, following in itertools.pairwise(RUNGS):
        top = {trial for _, trial in best(arrivals, rung, eta)}
        assert top <= at[following] <= passed[rung] | ({0} if protect else set())


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), trials=st.integers(1, 30))
def test_what_is_known_matters_and_not_the_order_in_which_it_arrived(
    variant: Variant, seed: int, trials: int
) -> None:
    """So a driver that is rebuilt from a journal decides as the one that wrote it."""
    chance = random.Random(seed)
    curves = curves_of(seed, trials, ties=True)
    reached = {trial: chance.randint(1, 3) for trial in curves}
    arrivals = [(t, RUNGS[i], curves[t][i]) for t in curves for i in range(reached[t])]
    first, second = Asha(RUNGS, 3, variant), Asha(RUNGS, 3, variant)
    for arrival in arrivals:
        first.arrived(*arrival)
    by_rung = sorted(arrivals, key=lambda each: (each[1], chance.random()))
    for arrival in (*by_rung, *by_rung[:5]):  # some are repeated
        second.arrived(*arrival)
    for trial in curves:
        assert first.decision(trial) == second.decision(trial)
        for pairs in (100, 200, 500, 800):
            assert first.falls(trial, pairs) == second.falls(trial, pairs)
    paused = {trial for trial in curves if first.decision(trial) != "stop"}
    assert first.promotable(paused) == second.promotable(paused)


def test_hand_computed_sequence() -> None:
    """eta 3: the best of the first two, then one in three of those known."""
    asha = Asha(RUNGS, 3)
    values = [0.5, 0.4, 0.45, 0.6, 0.55, 0.58]
    #            first       best is .5  best is .5  .6 tops     top is .6  top 2: .6 .58
    expected = ["continue", "stop", "stop", "continue", "stop", "continue"]
    found = []
    for trial, value in enumerate(values):
        asha.arrived(trial, 100, value)
        found.append(asha.decision(trial))
    assert found == expected
    assert asha.bar(100) == 0.58 and asha.bar(300) == float("-inf")
    # The first one passed alone: it is below the bar now, unless it is nearly there.
    assert asha.falls(0, 100) and asha.falls(0, 100 + int(NEAR * 200) - 1)
    assert not asha.falls(0, 100 + int(NEAR * 200)) and not asha.falls(3, 100)


def test_hand_computed_promotion() -> None:
    """eta 2: the best half resume, the highest rung first."""
    asha, paused = Asha(RUNGS, 2, "promotion"), set[int]()
    for trial, value in enumerate([0.5, 0.4, 0.6]):
        asha.arrived(trial, 100, value)
        assert asha.decision(trial) == ("pause" if trial < 2 else "continue")
        paused.add(trial)
    paused.remove(2)
    assert asha.promotable(paused) is None  # one of three passes, and it is on its way
    asha.arrived(3, 100, 0.3)
    paused.add(3)
    assert asha.promotable(paused) == 0
    asha.arrived(2, 300, 0.7)
    paused.add(2)
    asha.arrived(4, 300, 0.1)
    assert asha.promotable(paused) == 2  # at the higher rung, though 0 waits longer


def test_protected_trial_continues_and_counts() -> None:
    """The baseline never stops, and others are compared with it."""
    asha = Asha(RUNGS, 2, "stopping", {0})
    for trial, value in enumerate([0.1, 0.9, 0.95, 0.5]):
        asha.arrived(trial, 100, value)
    assert asha.decision(0) == "continue" and not asha.falls(0, 100)
    assert asha.decision(2) == "continue" and asha.decision(3) == "stop"
    pausing = Asha(RUNGS, 2, "promotion", {0})
    pausing.arrived(0, 100, 0.1)
    assert pausing.decision(0) == "continue"


@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_nothing_is_decided_at_the_full_budget(variant: Variant) -> None:
    """The last rung ends a trial, whatever its score."""
    asha = Asha(RUNGS, 2, variant)
    for trial, value in enumerate([0.9, 0.8, 0.1]):
        asha.arrived(trial, 900, value)
        assert asha.decision(trial) == "stop" and not asha.falls(trial, 900)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_value_is_no_value(value: float) -> None:
    """NaN must not slip through as `continue`."""
    with pytest.raises(AssertionError, match="failure"):
        Asha(RUNGS, 2).arrived(0, 100, value)
