"""Effects put in by hand, where a planted study has no such ones."""

from __future__ import annotations

from tuner.scaling.conclusion import conclusion
from tuner.scaling.model import Effect
from tuner.scaling.result import Scaled
from tuner.statistics.variance import Estimate


def about(value: float, half: float, p: float) -> Estimate:
    return Estimate(value, half / 2, 9.0, value - half, value + half, p, 3)


def effect(name: str, value: float, half: float, adjusted: float) -> Effect:
    unit = {"β": "from β = 0 to 1", "log₂ B": "per doubling"}.get(name, "against another")
    return Effect(name, unit, about(value, half, adjusted), adjusted)


def whole(result: Scaled) -> str:
    """The answer of a scaling study, both parts."""
    return " ".join(conclusion(result)).strip()
