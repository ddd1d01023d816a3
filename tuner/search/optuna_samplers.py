"""Samplers of Optuna, which proposes from a study in memory that is rebuilt from records."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from tuner.journal.records import END_STATES, TrialState
from tuner.search.sampler import Point, Sampler
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.distributions import Choice, Distribution, Float, Int, PowerOfTwo, Scalar
from tuner.study.space.feasible import Feasible

optuna.logging.set_verbosity(optuna.logging.ERROR)

ASKED = 100
"""Proposals of Optuna that are tried for a trial before a uniform draw is taken instead."""


class OptunaSampler(Sampler):
    """Proposes Optuna's first point that meets the requirements.

    If 100 proposals in a row do not, it draws uniformly from the points that do.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        super().__init__(feasible, config)
        self._study = optuna.create_study(direction="maximize")
        self._trials: dict[int, optuna.Trial] = {}

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return Optuna's sampler for one proposal."""
        raise NotImplementedError

    def next_point(self, number: int) -> Point:
        """Return Optuna's first feasible proposal, or a uniform draw after `ASKED` others.

        Each proposal is marked as failed at once, and Optuna ignores failed trials. So an Optuna
        study that is rebuilt without the proposals makes the same ones.
        """
        self._study.sampler = self.seeded(self.seed_of(number))
        for _ in range(ASKED):
            trial = self._study.ask()
            params = self._point(trial)
            self._study.tell(trial, state=OptunaState.FAIL)
            if self.feasible.keeps(params):
                return params
        return self.feasible.draw(self.seed_of(number))

    def proposed(self, number: int, params: dict[str, Any]) -> None:
        """Tell Optuna about a trial with these values."""
        self._study.sampler = optuna.samplers.RandomSampler(seed=0)  # proposes nothing here
        self._study.enqueue_trial(_inner(self.feasible.space, params))
        trial = self._study.ask()
        taken = self._point(trial)
        assert taken == params, f"Optuna took {taken} for {params}"
        self._trials[number] = trial

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Report an intermediate value to Optuna; `rung` is in pairs."""
        trial = self._trials.get(number)
        if trial is not None:
            trial.report(objective, step=rung)

    def trial_ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Tell Optuna how a trial ended."""
        trial = self._trials.get(number)
        if trial is None or state not in END_STATES:
            return
        if state == "completed" and objective is not None:
            self._study.tell(trial, objective)
        elif state == "pruned":
            self._study.tell(trial, state=OptunaState.PRUNED)
        else:
            self._study.tell(trial, state=OptunaState.FAIL)

    def _point(self, trial: optuna.Trial) -> Point:
        return self.feasible.space.sample(lambda name, dist: _suggest(trial, name, dist))


class Random(OptunaSampler):
    """Draws independently."""

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.RandomSampler(seed=seed)


class Tpe(OptunaSampler):
    """Models the space on the trials so far: TPE, Bergstra et al. 2011.

    It is multivariate and grouped, so conditional parameters are modelled together. It uses a
    constant liar, so parallel trials stay apart.
    """

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():  # these options are experimental, and we test them
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=self.config.startup_trials,
                multivariate=True,
                group=True,
                constant_liar=True,
            )


def _suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Scalar:
    match distribution:
        case Float(low=low, high=high, step=None, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case Float(low=low, step=float(step)):
            # Whole steps are exact; low + k * step in a float distribution is not.
            index = trial.suggest_int(name, 0, distribution.steps)
            return distribution.at(index)
        case Int(low=low, high=high, step=step):
            return trial.suggest_int(name, low, high - (high - low) % step, step=step)
        case PowerOfTwo(low=low, high=high):
            return 1 << trial.suggest_int(name, low.bit_length() - 1, high.bit_length() - 1)
        case Choice(values=values):
            chosen = trial.suggest_categorical(name, values)
            assert chosen is not None
            return chosen
        case _:
            raise AssertionError(f"a fixed value is not suggested: {name}")


def _inner(space: Space, params: dict[str, Any]) -> dict[str, Any]:
    """Convert a point to Optuna's own values: exponents of powers of two, indices of steps."""
    inner = dict(params)
    for name, value in params.items():
        match space.root[name]:
            case PowerOfTwo():
                inner[name] = value.bit_length() - 1
            case Float(step=float()) as stepped:
                inner[name] = stepped.index(value)
            case _:
                pass
    return inner
