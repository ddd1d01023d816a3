"""The plan of a study: a pure function of its settings, a pace, and the size of its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, quantiles

from pydantic import Field

from tuner.cluster.capacity import Capacity
from tuner.errors import UserError
from tuner.model.shape import EncoderShape
from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.nodes import ClusterPlan, nodes_of
from tuner.plan.pace import Pace
from tuner.plan.prices import Prices
from tuner.plan.rung_spread import RungSpread
from tuner.plan.simulated import SimulatedStudy
from tuner.plan.simulation import pairs_at, play
from tuner.run.disk import DiskNeed, disk_need
from tuner.run.machine import this_machine
from tuner.study import StudyConfig
from tuner.study.scores import Record
from tuner.study.trial import TrialConfig

OTHER_PLAYS = 3
EQUAL = Pace(1.0, 0.0, {"last": 1.0}, 0.0, 0.0, 0.0, "")
"""A pace of a second per pair: it gives the order of events where none is known."""
ONE = EvaluationSets(1, 1)
MAX_PLAYS, TRIALS_PLAYED = 40, 600
"""The most simulations of a study, and their trials in total."""
MAX_SIMULATED_TRIALS = 100
"""The most trials that are simulated, or three per place if that is more; the plan assumes that the
remaining trials are like them."""
MAX_DESIGN_TRIALS = 1_000
"""The same limit for a design, whose trials are known; those simulated spread evenly over it."""
OVERSHOOT = 0.02
"""The share of a rung by which its evaluation may be late before a plan warns."""


class BatchPlan(Record):
    """The rungs as an effective batch size reaches them."""

    effective_size: int = Field(description="B, in pairs")
    steps: int = Field(description="optimizer steps to the full budget")
    pairs_seen: tuple[int, ...] = Field(description="pairs seen when each rung is evaluated")
    overshoot: float = Field(
        description="largest delay of an evaluation past its rung, as a share of the rung"
    )
    at_rung: int = Field(description="the rung with this delay, in pairs")
    pairs_per_second: float | None = Field(
        None, description="training speed, with the last layer only"
    )


class TimePlan(Record):
    """The predicted times of the study, from simulations with random scores."""

    source: str = Field(description="source of the speeds, in words")
    seconds: float = Field(
        description="mean time from the first worker's start to the last trial's end"
    )
    low_seconds: float = Field(description="10th percentile of this time")
    high_seconds: float = Field(description="90th percentile of this time")
    boot_seconds: float = Field(
        description="part of this time until a node has booted; 0: no node has to boot"
    )
    trial_seconds: float = Field(description="total time of all trials")
    gpu_hours: float


class StudyPlan(Record):
    """The plan of a study: what it would run and cost."""

    name: str
    trials: int
    at_once: int
    at_once_since: str = Field(description="reason for this number, in words")
    distinct: int | None = Field(description="configurations in the space; None: unlimited")
    infeasible: dict[str, int] = Field(
        description="combinations that a requirement excludes; of 1,000 random ones if unlimited"
    )
    rungs: tuple[int, ...]
    reached: tuple[float, ...] = Field(description="trials expected at each rung")
    pairs: float = Field(description="pairs that all trials together train on")
    other_pairs: dict[int, float] = Field(
        {}, description="what these pairs would be with another first rung, by that rung in pairs"
    )
    spreads: tuple[RungSpread, ...] = Field(
        (), description="how far scores lay apart at the rungs of an earlier search, if any"
    )
    sets_at_rungs: int = Field(description="number of dev sets that are evaluated at a rung")
    sets_at_full: int = Field(description="number of them at the full budget")
    batches: tuple[BatchPlan, ...]
    disk: DiskNeed | None = None
    time: TimePlan | None = None
    cluster: ClusterPlan | None = Field(None, description="None: the plan is for this machine")
    too_small: str | None = Field(
        None, description="why search will refuse to start on this machine, and the remedy"
    )


def make_plan(
    study: StudyConfig,
    pace: Pace | None,
    encoder: EncoderShape | None,
    capacity: Capacity | None = None,
    prices: Prices | None = None,
) -> StudyPlan:
    """Plan a study.

    Args:
        study: settings of the study.
        pace: the pace of trials, if known.
        encoder: the shape of the encoder, if known.
        capacity: capacity of the cluster; None to plan for this machine.
        prices: prices of the cluster's nodes.

    Raises:
        UserError: the cluster can never hold a trial of the study.
    """
    sets = EvaluationSets.of(study)
    at_once, since = trials_at_once(study, capacity)
    used = capacity.used_by(study.resources, at_once) if capacity else []
    if pace and not any(nodes > type_.alive for type_, nodes, _ in used):
        pace = replace(pace, startup=pace.startup - pace.boot, boot=0.0)
    guess = pace or EQUAL
    trials = study.trials
    longest = MAX_DESIGN_TRIALS if study.design is not None else MAX_SIMULATED_TRIALS
    played = min(trials, max(longest, 3 * at_once))
    plays = max(2, min(MAX_PLAYS, TRIALS_PLAYED // played))
    outcomes = [play(study, played, at_once, guess, sets, seed) for seed in range(plays)]
    outcomes = [outcome.extended(trials / played, guess.startup) for outcome in outcomes]
    sizes = {config.batch.effective_size for config in study.corner_configs()}
    sizes |= frozenset[int]().union(*(outcome.sizes for outcome in outcomes))
    return StudyPlan(
        name=study.name,
        trials=trials,
        at_once=at_once,
        at_once_since=since,
        distinct=study.distinct(),
        infeasible=study.infeasible(),
        rungs=study.rungs,
        reached=tuple(map(fmean, zip(*(outcome.reached for outcome in outcomes), strict=True))),
        pairs=fmean(outcome.pairs for outcome in outcomes),
        other_pairs=_with_other_rungs(study, played, at_once, outcomes),
        sets_at_rungs=sets.at_rungs,
        sets_at_full=sets.at_full,
        batches=tuple(_batch_plan(study, size, pace) for size in sorted(sizes)),
        disk=disk_need(study, encoder, at_once) if encoder else None,
        time=_time_plan(study, outcomes, pace) if pace else None,
        cluster=nodes_of(study, capacity, used, outcomes if pace else [], prices)
        if capacity
        else None,
        too_small=None if capacity else _too_small(study),
    )


def _with_other_rungs(
    study: StudyConfig, played: int, at_once: int, outcomes: Sequence[SimulatedStudy]
) -> dict[int, float]:
    """Return the pairs that a search would train on with a smaller and a larger first rung.

    Searches with random proposals are compared, since a model's proposals cost time.
    """
    if study.scheduler.kind == "none" or len(study.rungs) < 2:
        return {}
    first, eta = study.rungs[0], study.scheduler.reduction_factor
    pairs = {}
    for rung in (first, first // eta, first * eta):
        if 1 <= rung < study.rungs[-1]:
            scheduler = study.scheduler.model_copy(update={"min_pairs": rung})
            sampler = study.sampler.model_copy(update={"kind": "random"})
            other = study.model_copy(update={"scheduler": scheduler, "sampler": sampler})
            plays = [play(other, played, at_once, EQUAL, ONE, seed) for seed in range(OTHER_PLAYS)]
            pairs[rung] = fmean(each.pairs for each in plays)
    now = fmean(outcome.pairs for outcome in outcomes)
    return {rung: now * others / pairs[first] for rung, others in pairs.items() if rung != first}


def calibrated(study: StudyConfig) -> list[TrialConfig]:
    """Choose configurations to time: smallest, middle and largest B, and every kind of fusion."""
    configs = list(study.corner_configs())
    by_size = sorted(configs, key=lambda config: config.batch.effective_size)
    chosen = [by_size[0], by_size[len(by_size) // 2], by_size[-1]]
    seen = {config.fusion.kind for config in chosen}
    for config in by_size:
        if config.fusion.kind not in seen:
            seen.add(config.fusion.kind)
            chosen.append(config)
    return chosen


def trials_at_once(study: StudyConfig, capacity: Capacity | None = None) -> tuple[int, str]:
    """Return how many trials would run in parallel, and the reason.

    On a cluster, it is as many as the cluster can hold. On this machine it is
    `resources.max_concurrent_trials` if set, else as many as the machine can hold. It is never more
    than the study has.

    Raises:
        UserError: the cluster can never hold a trial.
    """
    declared = study.resources.max_concurrent_trials
    if capacity is not None:
        fits = min(capacity.trials_at_once(study.resources), study.trials)
        since = "as many as the cluster holds at its maximum"
        if fits in (declared, study.trials):
            since = "as the study declares" if fits == declared else "all trials"
        return fits, since
    if declared is not None:
        return min(declared, study.trials), "as the study declares"
    fits = fit_here(study)
    if fits == 0:
        return 1, "because this machine cannot hold any: set resources.max_concurrent_trials"
    return min(fits, study.trials), "as many as this machine holds"


def _too_small(study: StudyConfig) -> str | None:
    try:
        this_machine(study).trials_at_once(study.resources)
    except UserError as error:
        return f"{error.problem}. {error.remedy}"
    return None


def fit_here(study: StudyConfig) -> int:
    """Return how many trials this machine has the resources to run in parallel."""
    return this_machine(study).holds(study.resources)


def _batch_plan(study: StudyConfig, size: int, pace: Pace | None) -> BatchPlan:
    rungs = study.rungs_at(size)
    seen = tuple(pairs_at(rung, size) for rung in rungs)
    late = {rung: pairs / rung - 1 for rung, pairs in zip(rungs, seen, strict=True)}
    at_rung = max(late, key=lambda rung: late[rung])
    return BatchPlan(
        effective_size=size,
        steps=seen[-1] // size,
        pairs_seen=seen,
        overshoot=late[at_rung],
        at_rung=at_rung,
        pairs_per_second=1 / (pace.per_pair + pace.per_step / size) if pace else None,
    )


def _time_plan(study: StudyConfig, outcomes: Sequence[SimulatedStudy], pace: Pace) -> TimePlan:
    tenths = quantiles((outcome.seconds for outcome in outcomes), n=10)
    busy = fmean(outcome.busy for outcome in outcomes)
    return TimePlan(
        source=pace.source,
        seconds=fmean(outcome.seconds for outcome in outcomes),
        low_seconds=tenths[0],
        high_seconds=tenths[-1],
        boot_seconds=pace.boot,
        trial_seconds=busy,
        gpu_hours=busy / 3600 * study.resources.gpus_per_trial,
    )
