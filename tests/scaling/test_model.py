"""The scaling model: planted effects, designs with holes, and an independent fit of the same."""

from __future__ import annotations

from itertools import product
from math import log2

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from tests.scaling.grids import BETAS, LAYERS, WEIGHTS, grid, tables, values
from tuner.errors import UserError
from tuner.scaling.design import Cell
from tuner.scaling.model import fit
from tuner.statistics.items import Table
from tuner.statistics.variance import Estimate, estimate


def surface(cell: Cell) -> float:
    """Planted; 80 points at β = 1/2, B = 32 and the mean of the k."""
    beta, size = cell.cross_lingual - 0.5, log2(cell.effective_size) - 5
    bend = 4 * (1 - (2 * beta) ** 2) - 2 * (1 - (size / 2) ** 2)
    layer = {None: 0.0, 1: 1.0, 2: -0.7}[cell.layer] + {None: 0.0, 1: 0.0, 2: 1.5}[
        cell.layer
    ] * beta
    return 80 + 3 * beta - 0.6 * size + bend + 0.9 * beta * size + layer


def test_planted_effects_are_recovered() -> None:
    assert values(fit(tables(grid(), surface))) == pytest.approx(
        {
            "β": 3.5,  # 1.5 more with k = 2, one of three
            "log₂ B": -0.6,
            "k = 1": 1.0,
            "k = 2": -0.7,
            "curvature of β": 4.0,
            "curvature of log₂ B": -2.0,
            "β × log₂ B": 0.9,
            "β × k = 1": 0.0,
            "β × k = 2": 1.5,
            "log₂ B × k = 1": 0.0,
            "log₂ B × k = 2": 0.0,
        },
        abs=1e-9,
    )


def test_the_intervals_of_planted_effects_hold_them() -> None:
    fitted = fit(tables(grid(), surface, seeds=6, spread=1.0))
    exact = values(fit(tables(grid(), surface)))
    missed = [
        effect.name
        for effect in fitted.effects
        if not effect.estimate.low <= exact[effect.name] <= effect.estimate.high
    ]
    assert len(missed) <= 2  # of 11, with this seed; each is missed in 5%
    found = {effect.name for effect in fitted.effects if effect.adjusted < 0.05}
    assert {"β", "curvature of β", "curvature of log₂ B"} <= found
    assert fitted.cells == 45


def test_two_by_two_by_hand() -> None:
    """Two cells apart in each factor: every number is a sum or a difference of four tables."""
    cells = grid((16, 64), (0.0, 1.0), (None,))
    random = np.random.default_rng(5)
    a, b, c, d = made = [Table(random.random((3, 50)) * WEIGHTS, WEIGHTS) for _ in cells]
    fitted = fit(dict(zip(cells, made, strict=True)))
    by_hand = {
        "β": (b.totals - a.totals + d.totals - c.totals) * 100 / 2,
        "log₂ B": (c.totals - a.totals + d.totals - b.totals) * 100 / 4,  # two doublings
        "β × log₂ B": (d.totals - c.totals - b.totals + a.totals) * 100 / 2,
    }
    assert {effect.name: effect.unit for effect in fitted.effects} == {
        "β": "from β = 0 to 1",
        "log₂ B": "per doubling",
        "β × log₂ B": "from β = 0 to 1, per doubling",
    }
    for effect in fitted.effects:
        same(effect.estimate, estimate(Table(by_hand[effect.name], WEIGHTS)))
    p = sorted(effect.estimate.p for effect in fitted.effects)
    assert min(effect.adjusted for effect in fitted.effects) == pytest.approx(min(1, 3 * p[0]))
    same(fitted.means["cross_lingual"][1.0], estimate(Table((b.totals + d.totals) * 50, WEIGHTS)))
    same(fitted.surface[64, 0.0], estimate(Table(c.totals * 100, WEIGHTS)))
    same(fitted.mean, estimate(Table(sum(each.totals for each in made) * 25, WEIGHTS)))
    assert fitted.plateau is not None and fitted.lack is None and fitted.departure == 0
    gain = estimate(Table((c.totals + d.totals - a.totals - b.totals) * 50, WEIGHTS), 0.9)
    assert fitted.plateau.bounds == {16: pytest.approx(gain.high)}


def same(one: Estimate, other: Estimate) -> None:
    for part in ("value", "error", "low", "high"):
        assert getattr(one, part) == pytest.approx(getattr(other, part)), part
    assert one.p == pytest.approx(other.p, rel=1e-6)


def test_an_independent_fit_of_a_design_with_holes() -> None:
    """statsmodels' formulas code everything otherwise; its predictions on the whole grid agree.

    The effects are read off the marginal means of these predictions.
    """
    cells = [
        Cell(*point) for point in product((8, 16, 64), BETAS[1:], LAYERS, ("language", "pair"))
    ]
    whole, holes = cells, set(cells[3::17])
    cells = [cell for cell in whole if cell not in holes]
    random = np.random.default_rng(6)
    scores = {cell: float(random.normal(70, 5)) for cell in cells}
    fitted = fit(tables(cells, scores.__getitem__))

    frame = pd.DataFrame([vars(cell) for cell in whole])
    frame["b"] = np.log2(frame.effective_size)
    frame["k"] = ["last" if cell.layer is None else f"k = {cell.layer}" for cell in whole]
    frame["y"] = [scores.get(cell, np.nan) for cell in whole]
    formula = "y ~ (cross_lingual + b + C(k))**2 + I(cross_lingual**2) + I(b**2) + C(granularity)"
    frame["at"] = ols(formula, frame.dropna(subset="y")).fit().predict(frame)

    def means(name: str, rows: pd.DataFrame = frame) -> pd.Series:
        return rows.groupby(name)["at"].mean()

    def slope(name: str, rows: pd.DataFrame = frame) -> float:
        of = means(name, rows)
        return float(np.polyfit(of.index, of, 1)[0])

    def bend(name: str) -> float:
        of = means(name)
        half = (of.index[-1] - of.index[0]) / 2
        return float(-np.polyfit(of.index, of, 2)[0] * half**2)

    layers = {layer: frame[frame.k == layer] for layer in ("last", "k = 1", "k = 2")}
    by_beta = frame.groupby("cross_lingual")[["b", "at"]].apply(lambda rows: slope("b", rows))
    span = BETAS[-1] - BETAS[1]
    expected = {
        "β": span * slope("cross_lingual"),
        "log₂ B": slope("b"),
        "granularity pair": means("granularity")["pair"] - means("granularity")["language"],
        "curvature of β": bend("cross_lingual"),
        "curvature of log₂ B": bend("b"),
        "β × log₂ B": span * float(np.polyfit(by_beta.index, by_beta, 1)[0]),
    }
    for name in ("k = 1", "k = 2"):
        expected[name] = means("k")[name] - means("k")["last"]
        for symbol, factor, length in (("β", "cross_lingual", span), ("log₂ B", "b", 1)):
            difference = slope(factor, layers[name]) - slope(factor, layers["last"])
            expected[f"{symbol} × {name}"] = length * difference
    assert values(fitted) == pytest.approx(expected)
    assert set(fitted.missing) == holes and not fitted.refused


def test_the_order_of_cells_is_nothing() -> None:
    found = tables(grid(), surface, spread=1.0)
    turned = fit(dict(reversed(found.items())))
    for one, other in zip(fit(found).effects, turned.effects, strict=True):
        assert one.name == other.name and one.unit == other.unit
        same(one.estimate, other.estimate)


def test_a_factorial_in_which_nothing_matters_shows_nothing() -> None:
    """30 of them, with few seeds: families with a false finding are rare."""
    cells = grid((16, 64), (0.0, 1.0), (None, 2))
    families = [fit(tables(cells, lambda _: 70, 3, 1.0, seed)) for seed in range(30)]
    false = sum(min(effect.adjusted for effect in each.effects) < 0.05 for each in families)
    assert false <= 5  # exceeded in 0.3% where the rate is 5%


def test_a_missing_cell_is_told_and_compares_with_nothing() -> None:
    """The means are over the combinations that have all levels; the effects over all cells."""
    cells = [cell for cell in grid() if cell != Cell(8, 0.0, None)]
    fitted = fit(tables(cells, surface))
    assert fitted.missing == (Cell(8, 0.0, None),)
    assert values(fitted)["β"] == pytest.approx(3.5)
    over = [surface(cell) for cell in cells if cell.cross_lingual == 1.0]
    without = [surface(Cell(8, 1.0, None))]
    expected = (sum(over) - sum(without)) / (len(over) - 1)
    assert fitted.means["cross_lingual"][1.0].value == pytest.approx(expected)


def test_factors_with_one_level_drop_out() -> None:
    fitted = fit(tables(grid((32,), (0.0, 1.0), (None,)), surface))
    assert [effect.name for effect in fitted.effects] == ["β"]
    assert set(fitted.means) == {"cross_lingual"} and fitted.plateau is None
    with pytest.raises(UserError, match="nothing varies"):
        fit(tables([Cell(32, 0.5, None)], surface))


def test_factors_that_vary_only_together_are_refused() -> None:
    cells = [Cell(16, 0.0, None), Cell(64, 1.0, None)]
    with pytest.raises(UserError, match=r"effect of log₂ B from β"):
        fit(tables(cells, surface))


def test_an_interaction_that_the_cells_do_not_show_is_refused() -> None:
    """One axis at a time: main effects, no interactions, and nothing to take a mean over."""
    star = [Cell(32, beta, None) for beta in (0.0, 0.5, 1.0)]
    star += [Cell(size, 0.0, None) for size in (8, 128)]
    fitted = fit(tables(star, lambda cell: 3 * cell.cross_lingual - log2(cell.effective_size)))
    assert values(fitted) == pytest.approx(
        {"β": 3, "log₂ B": -1, "curvature of β": 0, "curvature of log₂ B": 0}, abs=1e-9
    )
    (refusal,) = fitted.refused
    assert refusal.startswith("β × log₂ B is not fitted") and "do not separate it from" in refusal
    assert fitted.means["cross_lingual"].keys() == {0.0, 0.5, 1.0} and fitted.surface == {}
    assert len(fitted.missing) == 4


def test_the_batch_size_beyond_which_nothing_is_gained() -> None:
    """One point more to B = 32, then 0.2 less a doubling."""

    def truth(cell: Cell) -> float:
        size = cell.effective_size
        return 70 + (1.0 if size >= 32 else 0.0) - 0.2 * max(0, log2(size) - 5)

    cells = grid((8, 16, 32, 64, 128), (0.0, 1.0), (None,))
    clear = fit(tables(cells, truth, spread=0.05)).plateau
    assert clear is not None and clear.size == 32
    assert clear.gains[8] == pytest.approx(1.0, abs=0.1) and clear.bounds[8] > clear.gains[8]
    assert clear.gains[64] == pytest.approx(-0.2, abs=0.1)
    assert list(clear.bounds) == [8, 16, 32, 64]
    noisy = fit(tables(cells, truth, spread=3.0, seed=2)).plateau
    assert noisy is not None and noisy.size is None and min(noisy.gains.values()) < 0.5
    easier = fit(tables(cells, truth, spread=0.05), margin=1.5).plateau
    assert easier is not None and easier.size == 8


def test_a_form_that_misfits_is_told() -> None:
    """A step from β = 0 to any other is no parabola; the planted surface is one."""
    well = fit(tables(grid(), surface, spread=0.3))
    assert well.lack is not None and well.lack.p > 0.05 and well.departure < 0.2
    stepped = fit(
        tables(grid(), lambda cell: surface(cell) + 5 * (cell.cross_lingual > 0), spread=0.3)
    )
    assert stepped.lack is not None and stepped.lack.p < 0.001
    levels = np.array([0, 5, 5, 5, 5])
    parabola = np.polyval(np.polyfit(BETAS, levels, 2), BETAS)
    assert stepped.departure == pytest.approx(np.sqrt(np.mean((levels - parabola) ** 2)), rel=0.1)


def test_granularity_is_told_against_language() -> None:
    cells = [
        Cell(*point)
        for point in product((16, 64), (0.25, 0.75), (None,), ("pair", "language", "kind"))
    ]
    points = {"language": 0.0, "kind": 1.0, "pair": -2.0}
    fitted = fit(tables(cells, lambda cell: 70 + points[cell.granularity]))
    shown = {effect.name: effect for effect in fitted.effects}
    assert list(shown)[2:4] == ["granularity kind", "granularity pair"]
    assert shown["granularity pair"].unit == "against granularity language"
    assert shown["granularity pair"].estimate.value == pytest.approx(-2)
    assert list(fitted.means["granularity"]) == ["language", "kind", "pair"]
