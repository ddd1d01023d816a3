"""Samplers of Optuna, which proposes from a study in memory that is rebuilt for each proposal."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.search.observations import Observations
from tuner.search.optuna_space import inner, optuna_distribution, scaled, suggested
from tuner.search.sampler import Accepts, Point, Sampler
from tuner.study.samplers import SamplerConfig
from tuner.study.space.distributions import Fixed
from tuner.study.space.feasible import LARGEST_GRID, Feasible

optuna.logging.set_verbosity(optuna.logging.ERROR)

ASKED = 100
"""Proposals of Optuna that are tried for a trial before a uniform draw is taken instead."""
INDEPENDENT = 1 / 6
"""The share of proposals that are drawn uniformly although there is a model: what is best at a low
rung need not be best at the end. In BOHB (Falkner et al. 2018) it is a third."""
MODELLED = 300
"""The most ended trials that TPE models, so that a model's cost does not grow without end."""
PROCESSED = 100
"""The most trials that a Gaussian process models; its cost grows with their cube."""
ONCE = datetime(2000, 1, 1)
"""The time of every trial as Optuna's samplers see it; they do not look at it."""


class OptunaSampler(Sampler):
    """Proposes Optuna's first point that meets the requirements and was not tried before.

    If 100 proposals in a row do not, it draws uniformly from the points that do.
    """

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return Optuna's sampler for one proposal."""
        raise NotImplementedError

    def modelled(self, known: Observations) -> list[FrozenTrial]:
        """Return the trials that Optuna's sampler models, best first."""
        raise NotImplementedError

    def next_point(self, number: int, known: Observations, accepts: Accepts) -> Point | None:
        seed = self.seed_of(number)
        modelled = self.modelled(known)
        if not modelled and self.config.startup == "sobol":
            return self._spread(number, accepts)
        if modelled and random.Random(f"independent {seed}").random() < INDEPENDENT:
            return self._drawn(seed, accepts)
        study = optuna.create_study(direction="maximize", sampler=self.seeded(seed))
        study.add_trials(modelled)
        for _ in range(ASKED):
            trial = study.ask()
            params = self.feasible.space.sample(partial(suggested, trial))
            study.tell(trial, state=TrialState.FAIL)  # Optuna ignores it from now on
            if self.feasible.keeps(params) and accepts(params):
                return params
        return self._drawn(seed, accepts)

    def _spread(self, number: int, accepts: Accepts) -> Point | None:
        """Return the trial's point of a scrambled Sobol sequence, or the next that is accepted.

        Each parameter has a dimension of its own, so conditions take nothing from the others.
        """
        space = self.feasible.space
        names = space.ordered()
        with _experimental():
            sampler = optuna.samplers.QMCSampler(
                scramble=True, seed=self.config.seed, warn_asynchronous_seeding=False
            )
        study = optuna.create_study(sampler=sampler)
        unit: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in names}
        middle = dict.fromkeys(names, 0.5)  # a trial from which the sampler takes the dimensions
        study.add_trial(create_trial(value=0.0, params=middle, distributions=unit))
        for place in range(number + ASKED):
            trial = study.ask(dict(unit))
            study.tell(trial, state=TrialState.FAIL)
            if place >= number:
                at = trial.params
                point = space.sample(lambda name, dist, at=at: scaled(dist, at[name]))
                if self.feasible.keeps(point) and accepts(point):
                    return point
        return self._drawn(self.seed_of(number), accepts)

    def _drawn(self, seed: int, accepts: Accepts) -> Point | None:
        """Draw uniformly from the accepted points; None if the space has no more of them."""
        chance = random.Random(seed)
        for _ in range(ASKED):
            point = self.feasible.draw(chance.getrandbits(64))
            if accepts(point):
                return point
        points = self.feasible.space.points(LARGEST_GRID) or []  # none where it has more of them
        left = [point for point in points if self.feasible.keeps(point) and accepts(point)]
        return chance.choice(left) if left else None


class Random(OptunaSampler):
    """Draws independently."""

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.RandomSampler(seed=seed)

    def modelled(self, known: Observations) -> list[FrozenTrial]:
        return []


class Tpe(OptunaSampler):
    """Models the space on the trials so far: TPE, Bergstra et al. 2011.

    It is multivariate and grouped, so conditional parameters are modelled together. It uses a
    constant liar, so parallel trials stay apart.

    TPE reads the order of trials, not their values. All trials are ordered by their values at one
    rung, the highest that enough of them have reached; those that rest below it come after them.
    So a trial that ran to the end is not better than one that stopped because it ran to the end.
    """

    def __init__(self, feasible: Feasible, config: SamplerConfig) -> None:
        super().__init__(feasible, config)
        self._distributions = {
            name: optuna_distribution(distribution)
            for name, distribution in feasible.space.root.items()
            if not isinstance(distribution, Fixed)
        }

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        with _experimental():
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=self.config.startup_trials,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    def modelled(self, known: Observations) -> list[FrozenTrial]:
        rung = known.highest_rung(self._least())
        if rung is None:  # too few trials for a model
            return []
        order = known.ranked(rung, MODELLED)
        frozen = [self._frozen(each.params, value) for each, value in order]
        return frozen + [self._frozen(each.params, None) for each in known.below(rung)]

    def _least(self) -> int:
        """Return how many trials must have reached a rung for it to be modelled."""
        return max(self.config.startup_trials, len(self.feasible.space.root) + 2)

    def _frozen(self, params: Mapping[str, Any], value: float | None) -> FrozenTrial:
        """Return an Optuna trial with a value, or a running one without."""
        space = self.feasible.space.root
        varied = [name for name in params if name in self._distributions]
        return _Known(
            number=-1,
            state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
            value=value,
            datetime_start=ONCE,
            datetime_complete=None if value is None else ONCE,
            params={name: inner(space[name], params[name]) for name in varied},
            distributions={name: self._distributions[name] for name in varied},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=-1,
        )


class _Known(FrozenTrial):
    """A trial that Optuna's study copies without its parts, since these never change.

    Copying them would take most of a proposal's time.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        return copy(self)


class Gp(Tpe):
    """Models the objective by a Gaussian process, with Optuna's GPSampler.

    It reads values, not their order, so it models the trials that have one at the modelled rung,
    and those alone. It cannot model parameters with conditions: in a space with any, this is TPE.
    """

    def seeded(self, seed: int) -> optuna.samplers.BaseSampler:
        if self.feasible.space.has_conditions:
            return super().seeded(seed)
        with _experimental():
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=self.config.startup_trials)

    def modelled(self, known: Observations) -> list[FrozenTrial]:
        if self.feasible.space.has_conditions:
            return super().modelled(known)
        rung = known.highest_rung(self._least())
        if rung is None:
            return []
        order = known.ranked(rung, PROCESSED, only_there=True)
        frozen = [self._frozen(each.params, value) for each, value in order]
        return frozen + [self._frozen(each.params, None) for each in known.below(rung)]


@contextmanager
def _experimental() -> Iterator[None]:
    """Accept options that Optuna calls experimental: they are tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
