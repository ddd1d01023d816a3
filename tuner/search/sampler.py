"""Samplers: what each of them does, and the one that a study names.

A new kind is a class made from `Sampler`, in a module of its own here, and its line in
`tuner.study.samplers`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tuner.journal.records import TrialRecord, TrialState
from tuner.study.samplers import SAMPLERS, SamplerConfig
from tuner.study.space.distributions import Scalar
from tuner.study.space.feasible import Feasible

Point = dict[str, Scalar]


class Sampler:
    """Proposes the next feasible point of a space.

    Every kind of sampler defines `next_point`; one that learns overrides the other methods, too.
    All randomness is a function of (seed, trial number), so a resumed study makes the same
    proposals as one that was never interrupted.

    Args:
        feasible: the points that may be proposed.
        config: the sampler's settings.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        self.feasible = feasible
        self.config = config

    def next_point(self, number: int) -> Point | None:
        """Choose values by dotted name for the trial `number`; None if no point is left.

        Raises:
            UserError: no feasible point was found.
        """
        raise NotImplementedError

    def proposed(self, number: int, params: dict[str, Any]) -> None:
        """Record that a trial has these values, proposed just now or before a resume."""

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Record an evaluation (`rung` in pairs)."""

    def trial_ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Record how a trial ended. An unfinished or interrupted trial stays open."""

    def propose(self, number: int) -> Point | None:
        """Return values by dotted name for the trial `number`; None if no point is left.

        Raises:
            UserError: no feasible point was found.
        """
        params = self.next_point(number)
        if params is not None:
            self.proposed(number, params)
        return params

    def replay(self, record: TrialRecord) -> None:
        """Record a trial that was proposed before, with everything known about it."""
        self.proposed(record.number, record.params)
        for evaluation in record.evaluations:
            self.evaluated(record.number, evaluation.rung, evaluation.objective)
        self.trial_ended(
            record.number, record.state, record.last.objective if record.last else None
        )

    def seed_of(self, number: int) -> int:
        """Return the seed of everything random in the proposal of a trial."""
        return (self.config.seed * 1_000_003 + number) % 2**32


def sampler_of(feasible: Feasible, config: SamplerConfig) -> Sampler:
    """Return the sampler that a study's settings name."""
    module, _, name = SAMPLERS[config.kind].code.partition(":")
    kind: type[Sampler] = getattr(import_module(module), name)
    return kind(feasible, config)
