"""The sampler: Optuna proposes configurations, from a study in memory rebuilt from records."""

from __future__ import annotations

import random
import warnings
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from tuner.journal.records import ENDED, TrialRecord, TrialState
from tuner.study.parts import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.distributions import Choice, Distribution, Float, Int, PowerOfTwo, Scalar
from tuner.study.space.feasible import Feasible

optuna.logging.set_verbosity(optuna.logging.ERROR)


ASKED = 100
"""Proposals of Optuna that are tried for a trial before a uniform draw is taken instead."""


class Sampler:
    """Proposes the next feasible point of a space.

    All randomness is a function of (seed, trial number), so a resumed study makes the same
    proposals as one that was never interrupted.

    `random`: independent draws. `tpe`: Bergstra et al. 2011; multivariate and grouped, so that
    conditional parameters are modelled together; constant liar, so that parallel trials keep apart.
    The sampler takes their first proposal that meets the requirements. If 100 in a row do not, it
    draws uniformly from the points that do.

    `grid`: every feasible point once, shuffled by the seed. The first n points are then a random
    sample of the grid, with every value of every parameter in about its share. So a study that ends
    early has still seen all values, and ASHA does not compare trials of only one kind at a rung, as
    it would in the order in which a grid is written down.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        self._feasible = feasible
        self._space = feasible.space
        self._config = config
        self._study = optuna.create_study(direction="maximize")
        self._trials: dict[int, optuna.Trial] = {}
        self._grid: list[dict[str, Scalar]] = []  # points that no trial has had yet
        if config.kind == "grid":
            self._grid = feasible.grid()
            random.Random(config.seed).shuffle(self._grid)

    def propose(self, number: int) -> dict[str, Scalar] | None:
        """Return values by dotted name for the trial `number`; None if the grid is exhausted.

        Raises:
            UserError: no feasible point was found.
        """
        if self._config.kind == "grid":
            params = next(iter(self._grid), None)
        else:
            params = self._first_feasible(number)
        if params is not None:
            self._add(number, params)
        return params

    def evaluated(self, number: int, rung: int, objective: float) -> None:
        """Tell Optuna an intermediate value (`rung` in pairs)."""
        trial = self._trials.get(number)
        if trial is not None:
            trial.report(objective, step=rung)

    def ended(self, number: int, state: TrialState, objective: float | None) -> None:
        """Tell Optuna how a trial ended. An unfinished or interrupted trial stays open."""
        trial = self._trials.get(number)
        if trial is None or state not in ENDED:
            return
        if state == "completed" and objective is not None:
            self._study.tell(trial, objective)
        elif state == "pruned":
            self._study.tell(trial, state=OptunaState.PRUNED)
        else:
            self._study.tell(trial, state=OptunaState.FAIL)

    def replay(self, record: TrialRecord) -> None:
        """Take in a trial that was proposed before, with everything known of it."""
        self._add(record.number, record.params)
        for evaluation in record.evaluations:
            self.evaluated(record.number, evaluation.rung, evaluation.objective)
        self.ended(record.number, record.state, record.last.objective if record.last else None)

    def _first_feasible(self, number: int) -> dict[str, Scalar]:
        """Return Optuna's first feasible proposal, or a uniform draw after `ASKED` others.

        Each proposal is closed as failed at once, which Optuna then ignores. So a study that is
        rebuilt without these proposals makes the same ones.
        """
        self._study.sampler = self._sampler(number)
        for _ in range(ASKED):
            trial = self._study.ask()
            params = self._point(trial)
            self._study.tell(trial, state=OptunaState.FAIL)
            if self._feasible.keeps(params):
                return params
        return self._feasible.draw(self._seed(number))

    def _add(self, number: int, params: dict[str, Any]) -> None:
        """Make a trial with these values, proposed now or replayed, known to Optuna."""
        self._study.sampler = optuna.samplers.RandomSampler(seed=0)  # proposes nothing here
        self._study.enqueue_trial(_inner(self._space, params))
        trial = self._study.ask()
        taken = self._point(trial)
        assert taken == params, f"Optuna took {taken} for {params}"
        self._trials[number] = trial
        if params in self._grid:
            self._grid.remove(params)

    def _point(self, trial: optuna.Trial) -> dict[str, Scalar]:
        return self._space.sample(lambda name, dist: _suggest(trial, name, dist))

    def _seed(self, number: int) -> int:
        return (self._config.seed * 1_000_003 + number) % 2**32

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = self._seed(number)
        if self._config.kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():  # these options are experimental, and we test them
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=self._config.startup_trials,
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
