"""The true accuracies of configurations: surfaces over beta, batch size and fusion layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tuner.scaling.design import Cell

BETAS, EFFECTIVE_SIZES, LAYERS = (0.0, 0.25, 0.5, 0.75, 1.0), (8, 16, 32, 64, 128), (None, 1, 2, 3)
Setting = tuple[float, int, int | None]
CONTROL: Setting = (0.0, 32, None)
LOWEST, HIGHEST = 0.55, 0.97
"""Accuracies of a language."""

Points = Float[np.ndarray, "configurations languages"]


@dataclass(frozen=True)
class Surface:
    """Accuracy as a function of beta, log2 B and k: what is planted.

    Attributes:
        base: accuracy of the control.
        beta: per unit of beta.
        beta_squared: of beta * beta.
        doubling: per doubling of B.
        doubling_squared: of the square of the doublings since 32.
        beta_doubling: of beta times the doublings.
        layers: of fusing with each layer; 0 for the last alone.
    """

    base: float
    beta: float
    beta_squared: float
    doubling: float
    doubling_squared: float
    beta_doubling: float
    layers: dict[int | None, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Surface:
        """One with effects of some points, which nano has too."""
        layers = dict(zip(LAYERS, (0.0, *rng.normal(0, 0.01, 3)), strict=True))
        return cls(
            base=rng.uniform(0.75, 0.85),
            beta=rng.normal(0, 0.03),
            beta_squared=rng.normal(0, 0.03),
            doubling=rng.normal(0, 0.005),
            doubling_squared=rng.normal(0, 0.002),
            beta_doubling=rng.normal(0, 0.005),
            layers=layers,
        )

    @classmethod
    def flat(cls, rng: np.random.Generator) -> Surface:
        """One without effects."""
        return cls(rng.uniform(0.75, 0.85), 0, 0, 0, 0, 0, dict.fromkeys(LAYERS, 0.0))

    def __call__(self, beta: float, effective_size: int, layer: int | None) -> float:
        doublings = np.log2(effective_size / 32)
        return float(
            self.base
            + self.beta * beta
            + self.beta_squared * beta**2
            + self.doubling * doublings
            + self.doubling_squared * doublings**2
            + self.beta_doubling * beta * doublings
            + self.layers[layer]
        )

    def effects(self) -> dict[str, float]:
        """What the scaling model is to find with beta from 0 to 1 and B from 8 to 128, in points.

        A parabola is counted as the height of its middle above its ends: 4 beta (1 - beta) for
        beta, 1 - (doublings / 2)^2 for B. What is left of a square is a straight line.
        """
        points = {
            "β": self.beta + self.beta_squared,
            "curvature of β": -self.beta_squared / 4,
            "log₂ B": self.doubling + self.beta_doubling / 2,
            "curvature of log₂ B": -4 * self.doubling_squared,
            "β × log₂ B": self.beta_doubling,
            **{f"k = {layer}": value for layer, value in self.layers.items() if layer},
        }
        return {name: 100 * value for name, value in points.items()}


def searched(
    rng: np.random.Generator, trials: int, equal: bool
) -> tuple[Points, Points, list[Setting]]:
    """The true accuracies of a search's configurations in three source and four target languages.

    Args:
        rng: what surfaces of sources and targets, settings and languages' levels are drawn with. A
            learning rate that does not fit costs either alike.
        trials: how many, the control first.
        equal: whether none is better than another.

    Returns:
        Accuracies in the source and in the target languages, and the settings.
    """
    settings: list[Setting] = [CONTROL]
    while len(settings) < trials:
        settings.append((rng.choice(BETAS), rng.choice(EFFECTIVE_SIZES), rng.choice(LAYERS)))  # type: ignore[arg-type]
    ill_fitting = np.abs(rng.normal(0, 0.015, trials)) * (np.arange(trials) > 0)
    of_languages = []
    for languages in (3, 4):
        surface = Surface.flat(rng) if equal else Surface.drawn(rng)
        accuracies = np.array([surface(*each) for each in settings])
        if not equal:
            accuracies -= ill_fitting
        levels = rng.normal(0, 0.03, languages)
        of_languages.append(np.clip(accuracies[:, None] + levels, LOWEST, HIGHEST))
    return of_languages[0], of_languages[1], settings


def designed(
    rng: np.random.Generator, design: Sequence[Cell], equal: bool
) -> tuple[Surface, Points]:
    """A surface, and the true accuracies of a scaling study's cells in four target languages.

    Drawn again where an accuracy would be beyond what is likely: a clipped one would lie on no
    surface.

    Args:
        rng: what it and the languages' levels are drawn with.
        design: the cells.
        equal: whether none is better than another.
    """
    while True:
        surface = Surface.flat(rng) if equal else Surface.drawn(rng)
        means = [surface(each.cross_lingual, each.effective_size, each.layer) for each in design]
        accuracies = np.array(means)[:, None] + rng.normal(0, 0.03, 4)
        if accuracies.min() >= LOWEST and accuracies.max() <= HIGHEST:
            return surface, accuracies
