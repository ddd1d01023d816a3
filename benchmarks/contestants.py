"""The searches that `schedulers.py` compares: this tool's, as it is and as it was.

Each one proposes points of a table's space and decides, from the values that it is told, which
trials go on. This tool's trials are evaluated at its rungs alone.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import optuna
from curve_table import Table
from optuna.trial import TrialState

from tuner.search.asha import Asha, Decision, Variant
from tuner.search.observations import Observation, Observations
from tuner.search.optuna_space import suggested
from tuner.search.sampler import sampler_of
from tuner.study.rungs import default_first
from tuner.study.samplers import SamplerConfig
from tuner.study.space.feasible import Feasible

ETA = 3
STARTUP = 8


class Contestant(Protocol):
    """A search in progress. Trials are numbered in the order of their proposals."""

    levels: list[int]
    """The numbers of the levels, from 0, at which it wants values."""

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """Return the next trial to train and its params: a new one, or one to resume."""

    def told(self, trial: int, level: int, value: float) -> Decision:
        """Take a value, and say whether the trial continues."""

    def falls(self, trial: int, progress: float) -> bool:
        """Return whether a running trial should stop between two values.

        Args:
            trial: its number.
            progress: what it has trained, in the table's budget.
        """


def rungs_of(table: Table, first: float) -> list[int]:
    """Return the levels of rungs: the first is a share of 1 / first of the last, then thirds."""
    full = table.levels[-1]
    shares = [full * ETA**k / first for k in range(20) if ETA**k < first] + [full]
    nearest = [min(table.levels, key=lambda level: abs(level - share)) for share in shares]
    return sorted({table.levels.index(level) for level in nearest})


@dataclass
class Ours:
    """This tool: its ASHA and its samplers."""

    table: Table
    seed: int
    sampler: str = "tpe"
    variant: Variant = "stopping"
    first: int | None = None
    rechecks: bool = True
    startup: Literal["random", "sobol"] = "random"
    _known: dict[int, Observation] = field(default_factory=dict)
    _observations: Observations = field(default_factory=Observations)
    _paused: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.levels = rungs_of(self.table, self.first or self._default_first())
        self._budgets = [self.table.levels[level] for level in self.levels]
        self._asha = Asha(self._budgets, ETA, self.variant)
        config = SamplerConfig(
            kind=self.sampler, seed=self.seed, startup_trials=STARTUP, startup=self.startup
        )
        self._sampler = sampler_of(Feasible(self.table.space, {}, []), config)

    def _default_first(self) -> float:
        """Return the share of the first rung as a study's settings would have it: 1 / share."""
        full, sizes = self.table.levels[-1], self.table.space.root.get("batch.effective_size")
        largest = max(map(int, sizes.ends())) if sizes is not None else 1
        given = self.table.min_pairs
        return full / (given or default_first(full, ETA, self.table.warmup, largest))

    def next(self) -> tuple[int, dict[str, Any]] | None:
        resumed = self._asha.promotable(self._paused)
        if resumed is not None:
            self._paused.discard(resumed)
            self._now(resumed, fate="open")
            return resumed, dict(self._known[resumed].params)
        number, tried = len(self._known), [each.params for each in self._known.values()]
        point = self._sampler.next_point(
            number, self._observations, lambda params: params not in tried
        )
        if point is None:
            return None
        self._known[number] = Observation(number, point, {}, "open")
        self._observations.put(self._known[number])
        return number, point

    def told(self, trial: int, level: int, value: float) -> Decision:
        budget = self.table.levels[level]
        self._asha.arrived(trial, budget, value)
        decision = self._asha.decision(trial)
        values = {**self._known[trial].values, budget: value}
        self._now(trial, values=values, fate="open" if decision == "continue" else "resting")
        if decision == "pause":
            self._paused.add(trial)
        return decision

    def falls(self, trial: int, progress: float) -> bool:
        if not self.rechecks or not self._asha.falls(trial, int(progress)):
            return False
        self._now(trial, fate="resting")
        return True

    def _now(self, trial: int, **changes: Any) -> None:
        self._known[trial] = replace(self._known[trial], **changes)
        self._observations.put(self._known[trial])


@dataclass
class Before:
    """This tool as it was: decisions on arrival alone, and Optuna is told how trials ended."""

    table: Table
    seed: int
    sampler: str = "tpe"
    first: int = 9

    def __post_init__(self) -> None:
        self.levels = rungs_of(self.table, self.first)
        self._values: dict[int, list[float]] = {level: [] for level in self.levels}
        self._study = optuna.create_study(direction="maximize")
        self._trials: list[optuna.Trial] = []

    def next(self) -> tuple[int, dict[str, Any]]:
        number = len(self._trials)
        self._study.sampler = _tpe(self.sampler, self.seed * 1_000_003 + number, liar=True)
        self._trials.append(self._study.ask())
        return number, params_of(self.table, self._trials[-1])

    def told(self, trial: int, level: int, value: float) -> Decision:
        known = self._values[level]
        known.append(value)
        self._trials[trial].report(value, step=level)
        if level == self.levels[-1]:
            self._study.tell(self._trials[trial], value)
            return "stop"
        if len(known) < ETA or value >= sorted(known, reverse=True)[len(known) // ETA - 1]:
            return "continue"
        self._study.tell(self._trials[trial], state=TrialState.PRUNED)
        return "stop"

    def falls(self, trial: int, progress: float) -> bool:
        return False


def _tpe(kind: str, seed: int, liar: bool) -> optuna.samplers.BaseSampler:
    seed %= 2**32
    if kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=liar
        )


def params_of(table: Table, trial: Any) -> dict[str, Any]:
    """Return the point of a table's space that Optuna suggests."""
    return table.space.sample(lambda name, distribution: suggested(trial, name, distribution))
