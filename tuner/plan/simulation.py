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
import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.landscape import Landscape
from tuner.plan.pace import Pace
from tuner.plan.simulated import SimulatedStudy
from tuner.search.asha import Asha, Decision
from tuner.search.candidates import Standing, lacking
from tuner.search.observations import Fate, Observation, Observations
from tuner.search.sampler import sampler_of
from tuner.study import StudyConfig
from tuner.study.design import ScalingDesign
from tuner.study.parts import NOISE_BATCH
from tuner.study.planned import configured, planned_params
from tuner.study.roles import trained_on
from tuner.study.trial import TrialConfig

SCORE_DEVIATION = 0.1
"""The standard deviation of a score around the landscape, due to seeds; weights have one of 1."""
PLATEAU, LONGEST_PLATEAU = -100.0, 0.5
"""The score of a trial that has learnt nothing, and the upper end of the mean duration of this
plateau in a study, as a share of the budget; the mean is drawn from 0 to this."""


def pairs_at(rung: int, effective_size: int) -> int:
    """Return the pairs seen when a rung is evaluated, after the first step at or past it."""
    return ceil(rung / effective_size) * effective_size


def play(
    study: StudyConfig, trials: int, at_once: int, pace: Pace, sets: EvaluationSets, seed: int
) -> SimulatedStudy:
    """Simulate a study on a landscape.

    Args:
        study: the study, with its space, sampler, scheduler and budget.
        trials: number of trials to simulate.
        at_once: number of trials that run in parallel.
        pace: the pace of trials.
        sets: numbers of dev sets in an evaluation.
        seed: seed of landscape, noise and sampler.
    """
    return _Play(study, trials, pace, sets, seed).run(at_once)


@dataclass
class _Trial:
    """A simulated trial.

    Attributes:
        config: its settings.
        params: those that are sampled or planned.
        quality: its score at full budget, without noise.
        learns: the share of the budget where its plateau ends.
        values: its scores at the rungs that it has reached.
        place: the place of the worker that it runs on.
        since, until: seconds at which it left its last rung, and reaches the next.
        fate: how it stands, to the sampler.
    """

    config: TrialConfig
    params: Mapping[str, Any]
    quality: float
    learns: float
    values: dict[int, float]
    place: int
    since: float = 0.0
    until: float = 0.0
    fate: Fate = "open"


class _Play:
    """A simulated study in progress; its clock counts simulated seconds."""

    def __init__(
        self, study: StudyConfig, trials: int, pace: Pace, sets: EvaluationSets, seed: int
    ) -> None:
        self._study, self._pace, self._sets = study, pace, sets
        self._count = trials
        sampler = study.sampler.model_copy(update={"seed": seed})
        self._sampler = sampler_of(study.feasible, sampler)
        scheduler = study.scheduler
        protected = {0} if study.baseline is not None else ()
        self._asha = Asha(study.rungs, scheduler.reduction_factor, scheduler.variant, protected)
        self._landscape, self._chance = Landscape(study.space, seed), random.Random(seed)
        self._plateau = self._chance.uniform(0, LONGEST_PLATEAU)
        self._planned = _spread(planned_params(study), trials) if study.design is not None else []
        seeds = study.design.tuning.seeds if isinstance(study.design, ScalingDesign) else ()
        self._tuned = sum(params["seed"] in seeds for params in self._planned)
        self._held: list[int] = []  # places waiting until all learning rates are chosen
        self._trials: list[_Trial] = []
        self._running: dict[int, int] = {}  # trial: the rung that it trains to
        self._paused: set[int] = set()
        self._arrivals: list[tuple[float, int, int]] = []  # time, trial, rung
        self._to_the_end: set[int] = set()
        self._exhausted = False
        self._reached = dict.fromkeys(study.rungs, 0)
        self._pairs, self._busy = 0.0, 0.0

    def run(self, at_once: int) -> SimulatedStudy:
        now = self._pace.startup
        ended = [0.0] * at_once
        for place in range(at_once):
            self._begin(now + place * self._pace.ramp, place)
        while self._arrivals or self._complete(now):
            time, number, rung = heapq.heappop(self._arrivals)
            if self._running.get(number) != rung:
                continue  # it stopped between two rungs
            now = time
            for left in (*self._arrive(now, number, rung), *self._fallen(now)):
                place = self._trials[left].place
                ended[place] = now
                self._begin(now + self._pace.between, place)
        sizes = frozenset(trial.config.batch.effective_size for trial in self._trials)
        reached = tuple(self._reached.values())
        return SimulatedStudy(reached, sizes, self._pairs, now, self._busy, tuple(ended))

    def _arrive(self, now: float, number: int, rung: int) -> list[int]:
        """Score a trial at a rung; return it if it leaves its place."""
        trial = self._trials[number]
        score = self._score(trial, rung)
        self._reached[rung] += 1
        trial.values[rung] = score
        self._spend(trial, rung, 1.0)
        del self._running[number]
        decision: Decision = "continue"
        if rung == self._study.rungs_of(trial.config)[-1]:
            decision = "stop"
        elif self._study.scheduler.kind == "asha" and number not in self._to_the_end:
            self._asha.arrived(number, rung, score)
            decision = self._asha.decision(number)
        if decision == "continue":
            self._send(now, number)
            return []
        trial.fate = "resting"
        if decision == "pause":
            self._paused.add(number)
        return [number]

    def _fallen(self, now: float) -> list[int]:
        """Stop the running trials that were overtaken at their last rung; return them."""
        fallen = []
        for number, rung in list(self._running.items()):
            trial = self._trials[number]
            before = max(trial.values, default=0)
            share = (now - trial.since) / max(trial.until - trial.since, 1e-9)
            pairs = round(before + share * (rung - before))
            if number not in self._to_the_end and self._asha.falls(number, pairs):
                self._spend(trial, rung, share)
                trial.fate = "resting"
                del self._running[number]
                fallen.append(number)
        return fallen

    def _begin(self, now: float, place: int) -> None:
        """Resume a paused trial or start the next, if there is one, in a free place."""
        if (paused := self._asha.promotable(self._paused)) is not None:
            self._paused.discard(paused)
            self._trials[paused].fate, self._trials[paused].place = "open", place
            self._send(now, paused)
            return
        number, study = len(self._trials), self._study
        if number == self._count or self._exhausted:
            return
        if number == self._tuned and self._planned and self._arrivals:
            self._held.append(place)
            return
        if self._planned:
            params: Mapping[str, Any] = self._planned[number]
            config = configured(study, params)
        elif number == 0 and study.baseline is not None:
            params, config = study.baseline, study.baseline_config()
        else:
            tried = [trial.params for trial in self._trials]
            proposed = self._sampler.next_point(
                number, self._known(), lambda point: point not in tried
            )
            if proposed is None:
                self._exhausted = True
                return
            params, config = proposed, study.space.trial_config(study.trial, proposed)
        learns = self._chance.uniform(0, 2 * self._plateau)
        quality = self._landscape.quality(params)
        self._trials.append(_Trial(config, params, quality, learns, {}, place))
        self._send(now, number)
        while self._held and number >= self._tuned:
            self._begin(now, self._held.pop())

    def _complete(self, now: float) -> bool:
        """Let the best trials continue as candidates for a confirmation, all at once."""
        if self._study.scheduler.kind != "asha":
            return False
        standings = []
        for number, trial in enumerate(self._trials):
            if number or self._study.baseline is None:
                rung = max(trial.values)
                ends = rung == self._study.rungs[-1]
                course: Literal["complete", "rests"] = "complete" if ends else "rests"
                standings.append(Standing(number, trial.config, course, rung, trial.values[rung]))
        chosen = lacking(standings)
        for number in chosen:
            self._to_the_end.add(number)
            self._send(now, number)
        return bool(chosen)

    def _known(self) -> Observations:
        """Return what the sampler knows: all trials but the control."""
        return Observations(
            Observation(number, trial.params, trial.values, trial.fate)
            for number, trial in enumerate(self._trials)
            if number or self._study.baseline is None
        )

    def _send(self, now: float, number: int) -> None:
        """Let a trial train up to its next rung."""
        trial = self._trials[number]
        before = max(trial.values, default=0)
        rung = next(rung for rung in self._study.rungs_of(trial.config) if rung > before)
        trial.since = now
        trial.until = now + self._seconds(trial, rung)
        self._running[number] = rung
        heapq.heappush(self._arrivals, (trial.until, number, rung))

    def _pairs_to(self, trial: _Trial, rung: int) -> int:
        """Return the pairs from the last rung to this one; 0 where one step passes both."""
        size = trial.config.batch.effective_size
        last = max((known for known in trial.values if known < rung), default=0)
        return pairs_at(rung, size) - (pairs_at(last, size) if last else 0)

    def _seconds(self, trial: _Trial, rung: int) -> float:
        """Return the seconds from the last rung to the end of the evaluation at this one."""
        pairs = self._pairs_to(trial, rung)
        seconds = self._pace.training(trial.config, pairs)
        if not pairs:
            return seconds
        size, full = trial.config.batch.effective_size, self._study.rungs[-1]
        whole = pairs_at(rung, size) == pairs_at(full, size)
        sets = self._sets.at_full if whole else self._sets.at_rungs
        return seconds + self._pace.per_set * sets + self._probe(trial.config)

    def _spend(self, trial: _Trial, rung: int, share: float) -> None:
        """Count a share of the way from the last rung to this one."""
        self._pairs += share * self._pairs_to(trial, rung)
        self._busy += share * (trial.until - trial.since)

    def _probe(self, config: TrialConfig) -> float:
        """Return the seconds of the noise probe at a rung, about those of training at its size."""
        study = self._study
        kinds = 1 if len(trained_on(study.languages, study.protocol)) == 1 else 2
        batch = config.batch.model_copy(update={"effective_size": NOISE_BATCH})
        config = config.model_copy(update={"batch": batch})
        return self._pace.training(config, kinds * (study.diagnostics.probed_pairs or 0))

    def _score(self, trial: _Trial, rung: int) -> float:
        if rung < trial.learns * self._study.rungs[-1]:
            return PLATEAU
        return trial.quality + self._chance.gauss(0, SCORE_DEVIATION)


def _spread(planned: list[dict[str, Any]], trials: int) -> list[dict[str, Any]]:
    """Select `trials` of the planned trials, evenly spread."""
    return [planned[place * len(planned) // trials] for place in range(trials)]
