"""The simulation of a study: its own sampler and scheduler with an artificial objective.

The cost of a study depends on how many trials survive, and more than one in eta survive at each
rung. A sampler that learns proposes better and better trials. Trials that have learnt nothing yet
tie, so ASHA lets them continue. The objective is therefore a random landscape: each setting has a
best value, which the sampler can find, and a weight. For a random share of the budget a trial is on
a plateau. The plan simulates several landscapes; none of them favours large or small batches by
design.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from tuner.plan.pace import Pace
from tuner.search.asha import Asha
from tuner.search.sampler import sampler_of
from tuner.study import StudyConfig, trained_on
from tuner.study.design import ScalingDesign
from tuner.study.parts import NOISE_BATCH
from tuner.study.planned import configured, planned_params
from tuner.study.space import Space
from tuner.study.space.distributions import Choice, Fixed, Float, PowerOfTwo, Scalar
from tuner.study.trial import TrialConfig

SCORE_DEVIATION = 0.1
"""The standard deviation of a score around the landscape, due to seeds; weights have one of 1."""
PLATEAU, LONGEST_PLATEAU = -100.0, 0.5
"""The score of a trial that has learnt nothing, and the upper end of the mean duration of this
plateau in a study, as a share of the budget; the mean is drawn from 0 to this."""


@dataclass(frozen=True)
class SimulatedStudy:
    """The outcome of one simulated study.

    Attributes:
        reached: number of trials evaluated at each rung, in the rungs' order.
        sizes: effective batch sizes of its trials.
        pairs: pairs trained on by all trials together.
        seconds: seconds from the study's start to the last trial's end.
        busy: total seconds of all trials.
        ended: seconds from the study's start to the end of the last trial in each place.
    """

    reached: tuple[float, ...]
    sizes: frozenset[int]
    pairs: float
    seconds: float
    busy: float
    ended: tuple[float, ...]

    def extended(self, factor: float, startup: float) -> SimulatedStudy:
        """Return the outcome of a study with `factor` times as many trials like these."""
        return SimulatedStudy(
            reached=tuple(factor * trials for trials in self.reached),
            sizes=self.sizes,
            pairs=factor * self.pairs,
            seconds=startup + factor * (self.seconds - startup),
            busy=factor * self.busy,
            ended=tuple(startup + factor * (end - startup) for end in self.ended),
        )


def pairs_at(rung: int, effective_size: int) -> int:
    """Return the pairs seen when a rung is evaluated, after the first step at or past it."""
    return ceil(rung / effective_size) * effective_size


def play(
    study: StudyConfig, trials: int, at_once: int, pace: Pace, sets: int, seed: int
) -> SimulatedStudy:
    """Simulate a study on a landscape.

    Args:
        study: the study, with its space, sampler, scheduler and budget.
        trials: number of trials to simulate.
        at_once: number of trials that run in parallel.
        pace: the pace of trials.
        sets: number of dev sets in an evaluation.
        seed: seed of landscape, noise and sampler.
    """
    return _Play(study, trials, pace, sets, seed).run(at_once)


class _Play:
    """A simulated study in progress; its clock counts simulated seconds."""

    def __init__(self, study: StudyConfig, trials: int, pace: Pace, sets: int, seed: int) -> None:
        self._study, self._pace, self._sets = study, pace, sets
        self._rungs, self._trials = study.rungs, trials
        sampler = study.sampler.model_copy(update={"seed": seed})
        self._sampler = sampler_of(study.feasible, sampler)
        protected = frozenset({0} if study.baseline is not None else ())
        self._asha = Asha(study.rungs, study.scheduler.reduction_factor, protected)
        self._landscape, self._chance = Landscape(study.space, seed), random.Random(seed)
        self._plateau = self._chance.uniform(0, LONGEST_PLATEAU)
        self._planned = _spread(planned_params(study), trials) if study.design is not None else []
        seeds = study.design.tuning.seeds if isinstance(study.design, ScalingDesign) else ()
        self._tuned = sum(params["seed"] in seeds for params in self._planned)
        self._held: list[int] = []  # places waiting until all learning rates are chosen
        self._configs: list[TrialConfig] = []
        self._qualities: list[float] = []
        self._learns: list[float] = []  # the share of the budget where the plateau ends
        self._arrivals: list[tuple[float, int, int]] = []  # time, trial, rung index
        self._places: list[int] = []  # the place of each trial
        self._pairs, self._busy = 0, 0.0

    def run(self, at_once: int) -> SimulatedStudy:
        now = self._pace.startup
        reached = dict.fromkeys(self._rungs, 0)
        ended = [0.0] * at_once
        for place in range(at_once):
            self._begin(now + place * self._pace.ramp, place)
        while self._arrivals:
            now, trial, index = heapq.heappop(self._arrivals)
            rung = self._study.rungs_of(self._configs[trial])[index]
            score = self._score(trial, rung)
            reached[rung] += 1
            self._sampler.evaluated(trial, rung, score)
            if index + 1 == len(self._study.rungs_of(self._configs[trial])):
                self._sampler.trial_ended(trial, "completed", score)
            elif self._goes_on(trial, rung, score):
                self._send(now, trial, index + 1)
                continue
            else:
                self._sampler.trial_ended(trial, "pruned", score)
            ended[self._places[trial]] = now
            self._begin(now + self._pace.between, self._places[trial])
        sizes = frozenset(config.batch.effective_size for config in self._configs)
        times = (now, self._busy, tuple(ended))
        return SimulatedStudy(tuple(reached.values()), sizes, self._pairs, *times)

    def _begin(self, now: float, place: int) -> None:
        """Start the next trial, if there is one, in a free place."""
        number, study = len(self._configs), self._study
        if number == self._trials:
            return
        if number == self._tuned and self._planned and self._arrivals:
            self._held.append(place)
            return
        if self._planned:
            params = self._planned[number]
            config = configured(study, params)
        elif number == 0 and study.baseline is not None:
            params, config = dict(study.baseline), study.baseline_config()
        else:
            proposed = self._sampler.propose(number)
            assert proposed is not None, "a grid has as many points as the study has trials"
            params, config = proposed, study.space.trial_config(study.trial, proposed)
        self._configs.append(config)
        self._places.append(place)
        self._qualities.append(self._landscape.quality(params))
        self._learns.append(self._chance.uniform(0, 2 * self._plateau))
        self._send(now, number, 0)
        while self._held and number >= self._tuned:
            self._begin(now, self._held.pop())

    def _send(self, now: float, trial: int, index: int) -> None:
        """Let a trial train up to a rung."""
        size = self._configs[trial].batch.effective_size
        rungs = self._study.rungs_of(self._configs[trial])
        before = pairs_at(rungs[index - 1], size) if index else 0
        pairs = pairs_at(rungs[index], size) - before  # 0 where one step passes both
        seconds = self._pace.training(self._configs[trial], pairs)
        if pairs:
            seconds += self._pace.per_set * self._sets + self._probe(self._configs[trial])
        self._pairs, self._busy = self._pairs + pairs, self._busy + seconds
        heapq.heappush(self._arrivals, (now + seconds, trial, index))

    def _probe(self, config: TrialConfig) -> float:
        """Return the seconds of the noise probe at a rung, about those of training at its size."""
        study = self._study
        kinds = 1 if len(trained_on(study.languages, study.protocol)) == 1 else 2
        batch = config.batch.model_copy(update={"effective_size": NOISE_BATCH})
        config = config.model_copy(update={"batch": batch})
        return self._pace.training(config, kinds * (study.diagnostics.probed_pairs or 0))

    def _score(self, trial: int, rung: int) -> float:
        if rung < self._learns[trial] * self._rungs[-1]:
            return PLATEAU
        return self._qualities[trial] + self._chance.gauss(0, SCORE_DEVIATION)

    def _goes_on(self, trial: int, rung: int, score: float) -> bool:
        return self._study.scheduler.kind == "none" or self._asha.goes_on(trial, rung, score)


def _spread(planned: list[dict[str, Any]], trials: int) -> list[dict[str, Any]]:
    """Select `trials` of the planned trials, evenly spread."""
    return [planned[place * len(planned) // trials] for place in range(trials)]


class Landscape:
    """An artificial objective: each setting has a random best value and a random weight."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        chance = random.Random(seed)
        self._best = {name: (chance.random(), chance.gauss(0, 1)) for name in space.root}
        self._seed = seed

    def quality(self, params: Mapping[str, Any]) -> float:
        """Return a trial's score at full budget; higher is better.

        The unit is the standard deviation of a weight.
        """
        score = 0.0
        for name in sorted(params.keys() & self._best.keys()):
            best, weight = self._best[name]
            score += weight * abs(self._place(name, params[name]) - best)
        return score

    def _place(self, name: str, value: Scalar) -> float:
        """Return the position of a value in its range, from 0 to 1; random for a word."""
        distribution = self._space.root[name]
        if isinstance(distribution, Choice | Fixed) or isinstance(value, str):
            return random.Random(f"{self._seed} {name} {value}").random()
        low, high = distribution.low, distribution.high
        if isinstance(distribution, PowerOfTwo) or (
            isinstance(distribution, Float) and distribution.log
        ):
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) if high > low else 0.0
