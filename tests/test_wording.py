"""Numbers in words, against cases written by hand."""

from __future__ import annotations

import pytest

from tuner.wording import between, count, listed, p_alone, p_value, points


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (1.2345, "+1.23"),
        (-2.0, "−2.00"),
        (0.0, "0.00"),
        (0.004, "+0.004"),  # an interval that leaves 0 out has to be seen to do so
        (-0.0049, "−0.005"),
        (-0.0004, "0.00"),
        (0.005001, "+0.01"),
    ],
)
def test_points_have_a_sign_and_two_decimals_or_the_side_of_0(difference: float, said: str) -> None:
    assert points(difference) == said


def test_intervals_p_values_counts_and_lists() -> None:
    assert between(-0.9, 0.25) == "−0.90 to +0.25"
    assert [p_value(p) for p in (0.0004, 0.01, 1.0)] == ["p < 0.001", "p = 0.010", "p = 1.000"]
    assert [p_alone(p) for p in (0.0004, 0.01)] == ["< 0.001", "0.010"]
    assert [count(n, "trial") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]
    assert listed((0.5, 8, "pair")) == "0.5, 8, pair"
