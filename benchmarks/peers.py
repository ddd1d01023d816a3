"""The peers that `schedulers.py` compares with, each in its ordinary way.

They get a value at every level of a table, and decide when they like.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import optuna
from contestants import ETA, params_of
from curve_table import Table
from optuna.trial import TrialState

from tuner.search.asha import Decision
from tuner.study.space.distributions import Choice, Distribution, Fixed, Float, Int, PowerOfTwo


@dataclass
class Optuna:
    """Optuna alone: TPE with its defaults and its SuccessiveHalvingPruner."""

    table: Table
    seed: int

    def __post_init__(self) -> None:
        self.levels = list(range(len(self.table.levels)))
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA)
        self._study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=self.seed), pruner=pruner
        )
        self._trials: list[optuna.Trial] = []

    def next(self) -> tuple[int, dict[str, Any]]:
        self._trials.append(self._study.ask())
        return len(self._trials) - 1, params_of(self.table, self._trials[-1])

    def told(self, trial: int, level: int, value: float) -> Decision:
        self._trials[trial].report(value, step=self.table.units[level])
        if level == self.levels[-1]:
            self._study.tell(self._trials[trial], value)
        elif self._trials[trial].should_prune():
            self._study.tell(self._trials[trial], state=TrialState.PRUNED)
        else:
            return "continue"
        return "stop"

    def falls(self, trial: int, progress: float) -> bool:
        return False


@dataclass
class _RayTrial:
    """What Ray's scheduler reads of a trial."""

    trial_id: str


@dataclass
class Ray:
    """Ray Tune's AsyncHyperBandScheduler with OptunaSearch, with their defaults."""

    table: Table
    seed: int

    def __post_init__(self) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler
        from ray.tune.search.optuna import OptunaSearch

        self.levels = list(range(len(self.table.levels)))
        self._scheduler = AsyncHyperBandScheduler(
            "training_iteration",
            "value",
            "max",
            max_t=self.table.units[-1],
            reduction_factor=ETA,
        )
        self._search = OptunaSearch(
            lambda trial: {"params": params_of(self.table, trial)},
            metric="value",
            mode="max",
            sampler=optuna.samplers.TPESampler(seed=self.seed),
        )
        self._trials: list[_RayTrial] = []

    def next(self) -> tuple[int, dict[str, Any]]:
        trial = _RayTrial(f"{len(self._trials)}")
        found = self._search.suggest(trial.trial_id)
        assert found is not None
        self._trials.append(trial)
        self._scheduler.on_trial_add(None, trial)  # type: ignore[arg-type]
        return len(self._trials) - 1, found["params"]

    def told(self, trial: int, level: int, value: float) -> Decision:
        known = self._trials[trial]
        result = {"training_iteration": self.table.units[level], "value": value}
        ends = level == self.levels[-1]
        self._search.on_trial_result(known.trial_id, result)
        decision = self._scheduler.on_trial_result(None, known, result)  # type: ignore[arg-type]
        if ends or decision == "STOP":
            self._scheduler.on_trial_complete(None, known, result)  # type: ignore[arg-type]
            self._search.on_trial_complete(known.trial_id, result)
            return "stop"
        return "continue"

    def falls(self, trial: int, progress: float) -> bool:
        return False


@dataclass
class SyneTune:
    """Syne Tune's stopping ASHA with its random searcher, or with BOHB's.

    It has no conditions: it varies every parameter always, and those that do not count are ignored.
    """

    table: Table
    seed: int
    searcher: str = "random"

    def __post_init__(self) -> None:
        from syne_tune.optimizer import baselines

        np.random.seed(self.seed)
        logging.getLogger("syne_tune").setLevel(logging.ERROR)  # a line for every search
        self.levels = list(range(len(self.table.levels)))
        kind = baselines.ASHA if self.searcher == "random" else baselines.BOHB
        self._scheduler = kind(
            {name: _syne_tune(d) for name, d in self.table.space.root.items()},
            metric="value",
            time_attr="resource",
            max_t=self.table.units[-1],
            do_minimize=False,
            random_seed=self.seed,
            reduction_factor=ETA,
        )
        self._trials: list[Any] = []

    def next(self) -> tuple[int, dict[str, Any]] | None:
        from syne_tune.backend.trial_status import Trial

        found = self._scheduler.suggest()
        if found is None:
            return None
        trial = Trial(len(self._trials), found.config, datetime.now(UTC))
        self._trials.append(trial)
        self._scheduler.on_trial_add(trial)
        drawn = {
            name: 1 << value if isinstance(self.table.space.root[name], PowerOfTwo) else value
            for name, value in found.config.items()
        }
        return trial.trial_id, self.table.space.sample(lambda name, _: drawn[name])

    def told(self, trial: int, level: int, value: float) -> Decision:
        known = self._trials[trial]
        result = {"resource": self.table.units[level], "value": value}
        if level == self.levels[-1]:
            self._scheduler.on_trial_complete(known, result)
            return "stop"
        return "stop" if self._scheduler.on_trial_result(known, result) == "STOP" else "continue"

    def falls(self, trial: int, progress: float) -> bool:
        return False


def _syne_tune(distribution: Distribution) -> Any:
    from syne_tune import config_space

    match distribution:
        case Float(low=low, high=high, log=True):
            return config_space.loguniform(low, high)
        case Float(low=low, high=high, step=None):
            return config_space.uniform(low, high)
        case Float() | Int():
            return config_space.ordinal(list(distribution.grid() or ()), kind="equal")
        case PowerOfTwo(low=low, high=high):
            return config_space.randint(low.bit_length() - 1, high.bit_length() - 1)
        case Choice(values=values):
            return config_space.choice(list(values))
        case Fixed(value=value):
            return value
