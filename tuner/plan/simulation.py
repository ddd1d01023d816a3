"""A study played through before it runs: the real scheduler and space, scores by chance.

A trial's quality is drawn at random and is the same at all its rungs. Proposals are uniform over
the space: a sampler that learns will come to favour some batch sizes, which cannot be known.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil

from tuner.config import TrialConfig
from tuner.plan.pace import Pace
from tuner.search.asha import Asha
from tuner.study import StudyConfig


@dataclass(frozen=True)
class Outcome:
    """One study played through.

    Attributes:
        reached: trials evaluated at each rung, in the rungs' order.
        pairs: trained on by all trials together.
        seconds: from the study's start to the last trial's end.
        busy: seconds that trials took together.
    """

    reached: tuple[int, ...]
    pairs: int
    seconds: float
    busy: float


def pairs_at(rung: int, effective_size: int) -> int:
    """Pairs seen when a rung is evaluated, by the first step at or past it."""
    return ceil(rung / effective_size) * effective_size


def proposals(study: StudyConfig) -> Callable[[int], list[TrialConfig]]:
    """Trials that the study might run, the baseline first: a function of a seed."""
    baseline = [study.baseline_config()] if study.baseline is not None else []
    count, feasible = study.trials - len(baseline), study.feasible
    grid = feasible.grid() if study.sampler.kind == "grid" else None

    def propose(seed: int) -> list[TrialConfig]:
        chance = random.Random(seed)
        if grid is None:
            points = [feasible.draw(chance.getrandbits(64)) for _ in range(count)]
        else:
            points = chance.sample(grid, count)
        return [*baseline, *(study.space.trial_config(study.trial, point) for point in points)]

    return propose


def play(
    study: StudyConfig,
    configs: Sequence[TrialConfig],
    at_once: int,
    pace: Pace,
    sets: int,
    seed: int,
) -> Outcome:
    """Run trials in order, `at_once` side by side.

    Args:
        study: its rungs and its scheduler.
        configs: the trials' configurations; where the study has a baseline, it is the first.
        at_once: how many trials run side by side.
        pace: how long they take.
        sets: dev sets of an evaluation.
        seed: of the trials' qualities.
    """
    chance = random.Random(seed)
    qualities = [chance.random() for _ in configs]
    asha = _asha(study)
    reached = dict.fromkeys(study.rungs, 0)
    pairs, busy, now = 0, 0.0, pace.startup
    waiting = iter(range(len(configs)))
    arrivals: list[tuple[float, int, int]] = []  # when, which trial, at which of the rungs

    def send(trial: int, index: int) -> None:
        """Let a trial train up to a rung."""
        nonlocal pairs, busy
        more = _pairs_between(study.rungs, index, configs[trial].batch.effective_size)
        seconds = pace.training(configs[trial], more) + (pace.per_set * sets if more else 0.0)
        pairs, busy = pairs + more, busy + seconds
        heapq.heappush(arrivals, (now + seconds, trial, index))

    for trial in islice(waiting, at_once):
        send(trial, 0)
    while arrivals:
        now, trial, index = heapq.heappop(arrivals)
        rung = study.rungs[index]
        reached[rung] += 1
        if rung != study.rungs[-1] and (
            asha is None or asha.goes_on(trial, rung, qualities[trial])
        ):
            send(trial, index + 1)
        elif (following := next(waiting, None)) is not None:
            now += pace.between
            send(following, 0)
    return Outcome(tuple(reached.values()), pairs, now, busy)


def _asha(study: StudyConfig) -> Asha | None:
    if study.scheduler.kind != "asha":
        return None
    protected = frozenset({0} if study.baseline is not None else ())
    return Asha(study.rungs, study.scheduler.reduction_factor, protected)


def _pairs_between(rungs: Sequence[int], index: int, effective_size: int) -> int:
    """Pairs trained on from the rung before to this one; 0 where one step passes both."""
    before = pairs_at(rungs[index - 1], effective_size) if index else 0
    return pairs_at(rungs[index], effective_size) - before
