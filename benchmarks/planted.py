"""Simulated studies whose truth is known, for calibrating the statistics.

A world is a set of items and a few configurations with planted accuracies. Whether a configuration
classifies an item rightly with a seed is whether a normal variable lies below a threshold. It is a
sum of what items, components, languages, configurations, seeds and their interactions contribute,
of variance 1 in all: so the accuracy over all seeds and items is what was planted, exactly. What
the parts are is in `SHARES`; no method of `tuner.statistics` was looked at for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special
from surfaces import Points

from tuner.statistics.items import Table

SIZES = {1: 676, 2: 242, 3: 113, 4: 73, 5: 25, 6: 7, 7: 6}
"""How many components of so many items the official dev set of PAWS-X has, over all languages,
where sentences marked as not translated join nothing."""

SHARES = {
    "component": 0.10,
    "item": 0.20,
    "item x language": 0.10,
    "configuration x component": 0.03,
    "configuration x item": 0.07,
    "configuration x item x language": 0.05,
    "seed x item": 0.05,
    "configuration x seed x item": 0.20,
}
"""Shares of the variance. What is left of 1, after what seeds contribute, is of a single answer."""

SEED_DEVIATIONS = 0.003, 0.02
"""Lowest and highest standard deviation over seeds of a configuration's accuracy."""
SEED_COMMON = 0.25
"""Share of a seed's effect that all configurations have in common: order of data, initial head."""
SEED_LANGUAGES = 0.6
"""Share of a seed's effect that all languages have in common."""


@dataclass(frozen=True)
class Runs:
    """What fresh seeds do to all languages alike, on whatever items; of variance 1.

    Attributes:
        common: to all configurations.
        own: to each.
        luck: between 0 and 1; a configuration collapses where it is below its probability.
    """

    common: Float[np.ndarray, " seeds"]
    own: Float[np.ndarray, "configurations seeds"]
    luck: Float[np.ndarray, "configurations seeds"]


@dataclass
class World:
    """Items, and configurations of known accuracy on the population that the items are from.

    Attributes:
        accuracies: planted, by configuration and language.
        rng: what items and seeds are drawn with.
        count: items, about.
        clean: share of the items that a language has.
        collapse: by configuration, the probability that a seed collapses: it then always gives one
            label, which is right for every other item.
    """

    accuracies: Points
    rng: np.random.Generator
    count: int
    clean: float = 0.98
    collapse: Float[np.ndarray, " configurations"] | None = None
    components: Int[np.ndarray, " items"] = field(init=False)
    has: Bool[np.ndarray, "languages items"] = field(init=False)
    label: Bool[np.ndarray, " items"] = field(init=False)
    _deviations: Float[np.ndarray, " configurations"] = field(init=False)
    _shared: Float[np.ndarray, "languages items"] = field(init=False)
    _own: dict[int, Float[np.ndarray, "languages items"]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rng, (configurations, languages) = self.rng, self.accuracies.shape
        sizes, counts = np.array(list(SIZES)), np.array(list(SIZES.values()))
        shares = counts / counts.sum()
        drawn = rng.choice(sizes, round(self.count / (sizes @ shares)), p=shares)
        self.components = np.repeat(np.arange(len(drawn)), drawn)
        items = len(self.components)
        self.has = rng.random((languages, items)) < self.clean
        self.label = rng.random(items) < 0.5
        low, high = np.log(SEED_DEVIATIONS)
        self._deviations = np.exp(rng.uniform(low, high, configurations))
        self._shared = (
            self._part("component", len(drawn))[self.components]
            + self._part("item", items)
            + self._part("item x language", languages, items)
        )

    @property
    def truth(self) -> Float[np.ndarray, " configurations"]:
        """The mean accuracy over languages of each configuration, over all seeds and items."""
        means: Float[np.ndarray, " configurations"] = self.accuracies.mean(axis=1)
        if self.collapse is None:
            return means
        return np.asarray((1 - self.collapse) * means + self.collapse * 0.5)

    @property
    def pairs(self) -> int:
        """How many pairs are evaluated, all languages together."""
        return int(self.has.sum())

    def runs(self, seeds: int) -> Runs:
        """Fresh seeds of every configuration."""
        shape = (len(self.accuracies), seeds)
        normal = self.rng.standard_normal
        return Runs(normal(seeds), normal(shape), self.rng.random(shape))

    def answers(
        self, runs: Runs, which: Sequence[int]
    ) -> Bool[np.ndarray, "which seeds languages items"]:
        """What some configurations get right with such seeds, which they share."""
        rng, chosen = self.rng, list(which)
        accuracies = self.accuracies[chosen]
        languages, items = self.has.shape
        seeds = len(runs.common)
        shape = (len(chosen), seeds, languages, items)
        # A shift of the threshold by 1 moves the accuracy by the normal density there.
        thresholds = special.ndtri(accuracies)
        density = np.exp(-(thresholds**2) / 2) / np.sqrt(2 * np.pi)
        scale = self._deviations[chosen, None] / density
        common, own = runs.common[None], runs.own[chosen]
        effects = np.sqrt(SEED_COMMON) * _of_languages(rng, common, languages)
        effects = effects + np.sqrt(1 - SEED_COMMON) * _of_languages(rng, own, languages)
        latent = (
            np.stack([self._of(number) for number in chosen])[:, None]
            + (scale[:, None] * effects)[..., None]
            + self._part("seed x item", 1, seeds, 1, items)
            + self._part("configuration x seed x item", *shape[:2], 1, items)
        )
        apart = (1 / SEED_LANGUAGES - 1) * (1 - 1 / languages)
        left = 1 - sum(SHARES.values()) - (1 + apart) * scale[:, None, :, None] ** 2
        assert (left > 0).all()
        latent += np.sqrt(left) * rng.standard_normal(shape, np.float32)
        right = np.asarray(latent < thresholds[:, None, :, None])
        if self.collapse is not None:
            collapsed = runs.luck[chosen] < self.collapse[chosen, None]
            right[collapsed] = self.label
        return right

    def tables(self, runs: Runs, which: Sequence[int]) -> list[Table]:
        """The tables of some configurations with such seeds, which they share: mean accuracy."""
        components = [self.components[has] for has in self.has]
        return [
            Table.of([of_one[:, number, has] for number, has in enumerate(self.has)], components)
            for of_one in self.answers(runs, which)
        ]

    def _of(self, configuration: int) -> Float[np.ndarray, "languages items"]:
        """How hard each item is for a configuration, whatever the seed."""
        if configuration not in self._own:
            languages, items = self.has.shape
            by_component = self._part("configuration x component", self.components[-1] + 1)
            self._own[configuration] = (
                self._shared
                + by_component[self.components]
                + self._part("configuration x item", items)
                + self._part("configuration x item x language", languages, items)
            )
        return self._own[configuration]

    def _part(self, name: str, *shape: int) -> Float[np.ndarray, ...]:
        scale = np.float32(np.sqrt(SHARES[name]))
        return np.asarray(scale * self.rng.standard_normal(shape, np.float32))


def _of_languages(
    rng: np.random.Generator, alike: Float[np.ndarray, "configurations seeds"], languages: int
) -> Float[np.ndarray, "configurations seeds languages"]:
    """What seeds do to each language, whose mean over languages is what they do to all alike."""
    own = rng.standard_normal((*alike.shape, languages))
    own -= own.mean(axis=2, keepdims=True)
    return np.asarray(alike[..., None] + np.sqrt(1 / SEED_LANGUAGES - 1) * own)
