"""The kinds of sampler that a study may name, and their settings; their code is in `tuner.search`.

A new kind needs a class there, a line in `SAMPLERS`, and a field of `SamplerConfig` for each
setting of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tuner.study.kinds import OneOf
from tuner.study.trial import Part


@dataclass(frozen=True)
class SamplerKind:
    """One kind of sampler.

    Attributes:
        code: the location of its class, as `package.module:Class`.
        description: how it proposes, in the documentation of the settings.
        trials: its trials, in a plan.
        enumerates: True if it proposes each point of the space once and then ends.
        learns: True if earlier trials change what it proposes.
    """

    code: str
    description: str
    trials: str
    enumerates: bool = False
    learns: bool = False


SAMPLERS: dict[str, SamplerKind] = {
    "tpe": SamplerKind(
        "tuner.search.optuna_samplers:Tpe",
        "modelled on the trials so far",
        "proposed by TPE",
        learns=True,
    ),
    "gp": SamplerKind(
        "tuner.search.optuna_samplers:Gp",
        "a Gaussian process on the trials so far; TPE if the space has conditions",
        "proposed by a Gaussian process",
        learns=True,
    ),
    "random": SamplerKind(
        "tuner.search.optuna_samplers:Random", "independent draws", "drawn at random"
    ),
    "grid": SamplerKind(
        "tuner.search.grid:GridSearch",
        "every point of the space once, shuffled",
        "a whole grid",
        enumerates=True,
    ),
}


class SamplerConfig(Part):
    """The sampler, which proposes configurations that satisfy the requirements in `require`."""

    kind: Annotated[str, OneOf(SAMPLERS)] = Field(
        "tpe",
        description="; ".join(f"{name}: {kind.description}" for name, kind in SAMPLERS.items()),
    )
    seed: int = Field(
        0,
        ge=0,
        description="with the trial's number, determines every draw, or the order of a grid",
    )
    startup_trials: int = Field(8, ge=1, description="trials before TPE or gp models the space")
    startup: Literal["random", "sobol"] = Field(
        "random", description="how these are drawn: independently, or spread by a Sobol sequence"
    )

    @property
    def enumerates(self) -> bool:
        """True if the sampler proposes each point of the space once and then ends."""
        return SAMPLERS[self.kind].enumerates
