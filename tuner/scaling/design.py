"""The effects that a design can estimate, derived from its levels and never from its scores.

Every effect is a column over the cells. Columns are centred on the unweighted mean of a factor's
levels, so that an effect holds at the average of the other factors. In a full factorial it depends
on the marginal means only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise, product
from typing import Literal

import numpy as np
from jaxtyping import Float

from tuner.errors import UserError
from tuner.wording import number

Factor = Literal["effective_size", "cross_lingual", "layer", "granularity"]
Level = int | float | str | None
GRANULARITIES = ("language", "kind", "pair")
SYMBOLS: dict[Factor, str] = {
    "cross_lingual": "β",
    "effective_size": "log₂ B",
    "layer": "k",
    "granularity": "granularity",
}


@dataclass(frozen=True)
class Cell:
    """One configuration of the design.

    Attributes:
        effective_size: B.
        cross_lingual: β.
        layer: k, the layer fused with the last one; None for the last layer alone.
        granularity: the unit within which pairs share kind and languages.
    """

    effective_size: int
    cross_lingual: float
    layer: int | None = None
    granularity: Literal["language", "kind", "pair"] = "language"

    def __str__(self) -> str:
        layer = "last layer alone" if self.layer is None else f"k = {self.layer}"
        shown = f"B = {self.effective_size}, β = {self.cross_lingual:g}, {layer}"
        return shown if self.granularity == "language" else f"{shown}, {self.granularity}"


FACTORS: tuple[Factor, ...] = tuple(field.name for field in fields(Cell))  # type: ignore[misc]


@dataclass(frozen=True)
class Term:
    """One effect.

    Attributes:
        name: its name in words.
        unit: the unit of its coefficient.
        column: its value for each cell.
        main: true for a main effect, which the study needs; false for curvatures and interactions.
    """

    name: str
    unit: str
    column: Float[np.ndarray, " cells"]
    main: bool = False


@dataclass(frozen=True)
class Terms:
    """The effects that a design can estimate, and those that it cannot.

    Attributes:
        kept: the effects that are fitted.
        refused: the reason for each effect that the levels allow but the cells cannot identify.
    """

    kept: tuple[Term, ...]
    refused: tuple[str, ...]


def levels(cells: Sequence[Cell], factor: Factor) -> list[Level]:
    """Return a factor's levels, reference first: last layer alone, `language`, or the smallest."""
    found = {getattr(cell, factor) for cell in cells}
    if factor == "granularity":
        return [level for level in GRANULARITIES if level in found]
    return sorted(found, key=lambda level: -1 if level is None else level)


def missing(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells that a full factorial over the same levels has in addition."""
    there = set(cells)
    full = (Cell(*point) for point in product(*(levels(cells, factor) for factor in FACTORS)))  # type: ignore[arg-type]
    return tuple(cell for cell in full if cell not in there)


def terms(cells: Sequence[Cell]) -> Terms:
    """Determine the effects of a design.

    β and log₂ B have a linear effect with two levels or more, and a curvature with three or more.
    Each k and granularity is compared with its reference. The interactions are β × log₂ B, β × k
    and log₂ B × k. A factor with one level has no effect. An effect that the cells cannot separate
    from earlier ones is refused: it is not fitted, and a sentence names the effects that it is
    confounded with, and so the assumption behind them.

    Raises:
        UserError: nothing varies, or two factors vary only together.
    """
    straight = [
        term for factor in ("cross_lingual", "effective_size") for term in _linear(cells, factor)
    ]
    layers = _against(cells, "layer")
    mains = [*straight, *layers, *_against(cells, "granularity")]
    if not mains:
        raise UserError(
            "nothing varies between the configurations of this study",
            "Give batch.effective_size, mix.cross_lingual, fusion.layer or mix.granularity at "
            "least two values.",
        )
    curved = [
        term for factor in ("cross_lingual", "effective_size") for term in _curved(cells, factor)
    ]
    pairs = [*pairwise(straight), *product(straight, layers)]
    kept: list[Term] = []
    refused = []
    for term in (*mains, *curved, *(_interaction(one, other) for one, other in pairs)):
        mixed_with = _mixed_with(term, kept, len(cells))
        if mixed_with is None:
            kept.append(term)
        elif term.main:
            raise UserError(
                f"the study's configurations do not separate the effect of {term.name} from "
                f"{mixed_with}",
                "Add configurations that vary one without the other.",
            )
        else:
            refused.append(
                f"{term.name} is not fitted: these configurations do not separate it from "
                f"{mixed_with}"
            )
    return Terms(tuple(kept), tuple(refused))


def _linear(cells: Sequence[Cell], factor: Factor) -> list[Term]:
    places = _places(cells, factor)
    values = np.unique(places)
    if len(values) < 2:
        return []
    unit, length = _counted(cells, factor)
    return [Term(SYMBOLS[factor], unit, (places - values.mean()) / length, main=True)]


def _counted(cells: Sequence[Cell], factor: Factor) -> tuple[str, float]:
    """Return the unit of a numeric factor's effect, and its length on the fitted axis.

    The unit never exceeds the trained range. It is the range from the lowest level to the highest
    for β. For B it is a doubling, or the same range if that is less than a doubling.
    """
    places = _places(cells, factor)
    span = float(places.max() - places.min())
    if factor == "effective_size" and span >= 1:
        return "per doubling", 1.0
    found = levels(cells, factor)
    symbol = "β" if factor == "cross_lingual" else "B"
    return f"from {symbol} = {number(found[0])} to {number(found[-1])}", span


def _curved(cells: Sequence[Cell], factor: Factor) -> list[Term]:
    """Return a parabola that is 0 at the outer levels and 1 midway, minus its fitted line.

    Without its line the parabola does not change the linear effect, which stays the straight line
    through the levels, however curved the response is.
    """
    places = _places(cells, factor)
    values = np.unique(places)
    if len(values) < 3:
        return []
    middle, half = (values[0] + values[-1]) / 2, (values[-1] - values[0]) / 2

    def parabola(x: Float[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        return np.asarray(1 - ((x - middle) / half) ** 2)

    line = np.polyfit(values, parabola(values), deg=1)
    column = parabola(places) - np.polyval(line, places)
    return [Term(f"curvature of {SYMBOLS[factor]}", "middle minus ends", column)]


def _against(cells: Sequence[Cell], factor: Factor) -> list[Term]:
    reference, *others = levels(cells, factor)
    found = [getattr(cell, factor) for cell in cells]
    unit = f"against {_named(factor, reference)}"
    return [
        Term(
            _named(factor, level),
            unit,
            np.array([each == level for each in found]) - 1 / (1 + len(others)),
            main=True,
        )
        for level in others
    ]


def _interaction(one: Term, other: Term) -> Term:
    units = ", ".join(dict.fromkeys((one.unit, other.unit)))
    return Term(f"{one.name} × {other.name}", units, one.column * other.column)


def _places(cells: Sequence[Cell], factor: Factor) -> Float[np.ndarray, " cells"]:
    """Return the positions of the cells on the fitted axis: β or log₂ B."""
    values = np.array([getattr(cell, factor) for cell in cells], float)
    return np.asarray(np.log2(values)) if factor == "effective_size" else values


def _named(factor: Factor, level: Level) -> str:
    if factor == "layer":
        return "the last layer alone" if level is None else f"k = {level}"
    return f"{factor} {level}"


def _mixed_with(term: Term, kept: Sequence[Term], cells: int) -> str | None:
    """Return the effects that a term is a linear combination of; None if it is independent."""
    known = np.column_stack([np.ones(cells), *(other.column for other in kept)])
    factors = np.linalg.lstsq(known, term.column, rcond=None)[0]
    size = float(np.linalg.norm(term.column))
    if size > 0 and np.linalg.norm(term.column - known @ factors) > _TOLERANCE * size:
        return None
    names = [
        other.name
        for other, factor in zip(kept, factors[1:], strict=True)
        if abs(factor) > _TOLERANCE
    ]
    return " and ".join(names) or "the overall mean"


_TOLERANCE = 1e-9
"""The tolerance for rounding errors, relative to a column's length."""
