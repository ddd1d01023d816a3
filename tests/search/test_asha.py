"""ASHA on recorded curves, against a brute-force reading of its definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.search.asha import Asha

RUNGS = (100, 300, 900)


def brute_force(
    arrivals: list[tuple[int, int, float]], eta: int, protected: frozenset[int]
) -> list[bool]:
    """The definition, read off naively: of all values at the rung so far, is this a top one?"""
    answers = []
    for position, (trial, rung, value) in enumerate(arrivals):
        seen = [v for _, r, v in arrivals[: position + 1] if r == rung]
        better = sum(other > value for other in seen)
        keeps = len(seen) < eta or better < len(seen) // eta
        answers.append(keeps or rung == RUNGS[-1] or trial in protected)
    return answers


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    eta=st.integers(2, 4),
    trials=st.integers(1, 40),
    ties=st.booleans(),
    protect=st.booleans(),
)
def test_every_decision_on_recorded_curves_equals_the_definition(
    seed: int, eta: int, trials: int, ties: bool, protect: bool
) -> None:
    """Curves arrive interleaved, as from parallel workers; a stopped trial sends no more."""
    rng = random.Random(seed)
    curves = {t: [round(rng.random(), 1 if ties else 9) for _ in RUNGS] for t in range(trials)}
    protected = frozenset({0} if protect else ())
    asha = Asha(RUNGS, eta, protected)
    position = dict.fromkeys(curves, 0)
    arrivals: list[tuple[int, int, float]] = []
    answers: list[bool] = []
    while position:
        trial = rng.choice(sorted(position))
        index = position[trial]
        arrivals.append((trial, RUNGS[index], curves[trial][index]))
        answers.append(asha.goes_on(*arrivals[-1]))
        position[trial] += 1
        if not answers[-1] or index == len(RUNGS) - 1:
            del position[trial]
    assert answers == brute_force(arrivals, eta, protected)


def test_hand_computed_sequence() -> None:
    """eta 3: two trials go on unjudged, then one in three of those known."""
    asha = Asha(RUNGS, 3)
    values = [0.5, 0.4, 0.45, 0.6, 0.55, 0.58]
    #         few  few  3rd: best is .5   .6 tops  top 1 of 5 is .6   top 2 of 6: .6 .58
    expected = [True, True, False, True, False, True]
    assert [asha.goes_on(t, 100, v) for t, v in enumerate(values)] == expected


def test_repeated_facts_change_nothing() -> None:
    """A replayed journal, or a restarted trial that repeats itself, gets the first answers."""
    asha = Asha(RUNGS, 2)
    first = [asha.goes_on(t, 100, v) for t, v in enumerate([0.9, 0.1, 0.5, 0.95])]
    again = [asha.goes_on(t, 100, v) for t, v in enumerate([0.9, 0.1, 0.5, 0.95])]
    assert first == again == [True, False, False, True]
    assert asha.goes_on(4, 100, 0.92)  # top 2 of 5: .95 and .92; repeats were not counted


def test_protected_trial_goes_on_and_counts() -> None:
    """The baseline is never stopped, and others are compared with it."""
    asha = Asha(RUNGS, 2, frozenset({0}))
    assert asha.goes_on(1, 100, 0.9)
    assert asha.goes_on(0, 100, 0.1)
    assert asha.goes_on(2, 100, 0.95)
    assert not asha.goes_on(3, 100, 0.5)


def test_nothing_is_decided_at_the_full_budget() -> None:
    """The last rung ends a trial as completed, whatever its score."""
    asha = Asha(RUNGS, 2)
    assert all(asha.goes_on(t, 900, v) for t, v in enumerate([0.9, 0.8, 0.1]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_value_is_no_value(value: float) -> None:
    """NaN must not slip through as `continue`."""
    with pytest.raises(AssertionError, match="failure"):
        Asha(RUNGS, 2).goes_on(0, 100, value)
