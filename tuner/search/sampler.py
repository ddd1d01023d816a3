"""Samplers: what each of them does, and the one that a study names.

A new kind is a class made from `Sampler`, in a module of its own here, and its line in
`tuner.study.samplers`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from tuner.search.observations import Observations
from tuner.study.samplers import SAMPLERS, SamplerConfig
from tuner.study.space.distributions import Scalar
from tuner.study.space.feasible import Feasible

Point = dict[str, Scalar]
Accepts = Callable[[Point], bool]


class Sampler:
    """Proposes the next feasible point of a space.

    A proposal is a function of the space, the settings, the trial's number and what is known about
    the trials before it. A sampler keeps no state of its own, so a resumed study makes the same
    proposals as one that was never interrupted.

    Args:
        feasible: the points that may be proposed.
        config: the sampler's settings.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        self.feasible = feasible
        self.config = config

    def next_point(self, number: int, known: Observations, accepts: Accepts) -> Point | None:
        """Choose values by dotted name for the trial `number`; None if no point was accepted.

        Args:
            number: the trial's number.
            known: the trials before it that lie in the space.
            accepts: refuses feasible points that have been tried before.

        Raises:
            UserError: no feasible point was found.
        """
        raise NotImplementedError

    def seed_of(self, number: int) -> int:
        """Return the seed of everything random in the proposal of a trial."""
        return (self.config.seed * 1_000_003 + number) % 2**32


def sampler_of(feasible: Feasible, config: SamplerConfig) -> Sampler:
    """Return the sampler that a study's settings name."""
    module, _, name = SAMPLERS[config.kind].code.partition(":")
    kind: type[Sampler] = getattr(import_module(module), name)
    return kind(feasible, config)
