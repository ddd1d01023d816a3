"""The units of effects, by hand: nothing beyond the levels that were trained."""

from __future__ import annotations

import pytest

from tests.scaling.grids import grid, tables, values
from tuner.scaling.model import fit


def test_beta_is_counted_over_the_levels_that_were_trained() -> None:
    """Two cells apart in each factor: a difference is that of the levels, and is not doubled."""
    scores = {(16, 0.0): 70.0, (16, 0.5): 73.0, (64, 0.0): 71.0, (64, 0.5): 78.0}
    cells = grid((16, 64), (0.0, 0.5), (None,))
    fitted = fit(tables(cells, lambda cell: scores[cell.effective_size, cell.cross_lingual]))
    assert values(fitted) == pytest.approx(
        {
            "β": (3 + 7) / 2,
            "log₂ B": (1 + 5) / 4,  # two doublings
            "β × log₂ B": (7 - 3) / 2,
        }
    )
    assert [effect.unit for effect in fitted.effects] == [
        "from β = 0 to 0.5",
        "per doubling",
        "from β = 0 to 0.5, per doubling",
    ]


def test_less_than_a_doubling_is_counted_as_it_was_trained() -> None:
    near = fit(tables(grid((24, 32), (0.5,), (None,)), lambda c: 70 + (c.effective_size == 32)))
    (effect,) = near.effects
    assert effect.unit == "from B = 24 to 32" and effect.estimate.value == pytest.approx(1.0)
    doubled = fit(tables(grid((16, 32), (0.5,), (None,)), lambda c: 70 + (c.effective_size == 32)))
    assert doubled.effects[0].unit == "per doubling"


def test_a_curvature_is_the_middle_less_the_ends_of_what_was_trained() -> None:
    """The means of three levels say it; the parabola of four does, 9/8 of the middle two's."""
    three = {0.0: 70.0, 0.25: 74.0, 0.5: 72.0}
    bent = values(fit(tables(grid((32,), tuple(three), (None,)), lambda c: three[c.cross_lingual])))
    assert bent == pytest.approx({"β": 2.0, "curvature of β": 74 - (70 + 72) / 2})
    four = {16: 70.0, 32: 75.0, 64: 73.0, 128: 71.0}
    bent = values(fit(tables(grid(tuple(four), (0.5,), (None,)), lambda c: four[c.effective_size])))
    expected = 9 / 8 * ((75 + 73) / 2 - (70 + 71) / 2)
    assert bent["curvature of log₂ B"] == pytest.approx(expected)
