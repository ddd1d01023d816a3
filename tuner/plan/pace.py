"""The pace of trials: a model of their duration, fitted to earlier studies or a calibration.

The training time per pair at effective batch size B is modelled as `per_pair + per_step / B`: the
cost of each pair, and the cost of each optimizer step, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np

from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.study import StudyConfig
from tuner.study.roles import MEANS
from tuner.study.trial import TrialConfig

STARTUP_SECONDS = 8.0
"""The default time from a study's start to its first trial, in which a worker imports torch."""
BETWEEN_SECONDS = 0.3
"""The default time from a trial's end to the start of the next one."""
RESOURCES = ("cpus_per_trial", "gpus_per_trial", "workers")
"""The settings of the block `resources` that two studies must share to have comparable speeds."""


@dataclass(frozen=True)
class Observation:
    """The observed seconds per pair in one stretch of training."""

    effective_size: int
    kind: str
    seconds_per_pair: float


@dataclass(frozen=True)
class Pace:
    """The pace of trials, in seconds.

    Attributes:
        per_pair: training time per pair.
        per_step: training time per optimizer step.
        kinds: factor on both for each kind of fusion that was measured.
        per_set: time to evaluate one dev set (one language).
        startup: time from the study's start to its first trial: a worker's imports, a node's boot.
        between: time from a trial's end to the first step of the next one in the same place.
        source: the source of these values, in words.
        ramp: time from one place's first trial to that of the next, as nodes and workers start.
        boot: the part of `startup` that a node took to boot; 0 if none had to.
    """

    per_pair: float
    per_step: float
    kinds: dict[str, float]
    per_set: float
    startup: float
    between: float
    source: str
    ramp: float = 0.0
    boot: float = 0.0

    @classmethod
    def fitted(
        cls,
        observations: Sequence[Observation],
        per_set: float,
        source: str,
        startup: float = STARTUP_SECONDS,
        between: float = BETWEEN_SECONDS,
        ramp: float = 0.0,
        boot: float = 0.0,
    ) -> Pace:
        """Fit by least squares of relative errors, no cost negative; kinds by median ratio."""
        assert observations
        per_pair, per_step = _fit(observations)
        ratios: dict[str, list[float]] = {}
        for seen in observations:
            expected = per_pair + per_step / seen.effective_size
            ratios.setdefault(seen.kind, []).append(seen.seconds_per_pair / expected)
        kinds = {kind: median(values) for kind, values in ratios.items()}
        waits = (startup, between, source, ramp, boot)
        return cls(per_pair, per_step, kinds, per_set, *waits)

    def training(self, config: TrialConfig, pairs: int) -> float:
        """Return the seconds to train on `pairs` pairs.

        A kind of fusion that was never measured gets the median factor of the others.
        """
        factor = self.kinds.get(config.fusion.kind, median(self.kinds.values()))
        steps = pairs / config.batch.effective_size
        return factor * (self.per_pair * pairs + self.per_step * steps)


def recorded_pace(study: StudyConfig, platform: str, records: Iterable[StudyRecord]) -> Pace | None:
    """Return the pace of earlier studies with this encoder, data, resources and platform.

    Speeds come from all trials of these studies that ran in one attempt. Start-up and waiting times
    come from completed studies in which all trials did. The result is None without such a trial.
    """
    alike = [record for record in records if _alike(record, study, platform)]
    alike.sort(key=lambda record: record.created)
    trained = [t for record in alike for t in record.trials if t.evaluations and t.attempts == 1]
    if not trained:
        return None
    slower = median(map(_overhead, trained))
    observations = [
        replace(seen, seconds_per_pair=slower * seen.seconds_per_pair)
        for trial in trained
        for seen in _observed(trial)
    ]
    means = {*MEANS, *(group for record in alike for group in record.settings.languages.means)}
    per_set = slower * median(
        (evaluation.evaluation_seconds - evaluation.noise_seconds)
        / len({*evaluation.select, *evaluation.oracle} - means)
        for trial in trained
        for evaluation in trial.evaluations
    )
    whole = [record for record in alike if record.state == "completed" and _in_one_go(record)]
    places = [_places(record) for record in whole]
    startups = [
        min(place[0][0] for place in of_study) - record.created
        for record, of_study in zip(whole, places, strict=True)
    ]
    gaps = [gap for of_study in places for place in of_study for gap in _gaps(place)]
    ramps = [ramp for of_study in places for ramp in _ramp(of_study)]
    names = ", ".join(dict.fromkeys(record.name for record in alike))
    return Pace.fitted(
        observations,
        per_set,
        f"recorded by {names}: {len(trained)} trials",
        median(startups) if startups else STARTUP_SECONDS,
        median(gaps) if gaps else BETWEEN_SECONDS,
        median(ramps) if ramps else 0.0,
        median(map(_boot, whole)) if whole else 0.0,
    )


def _fit(observations: Sequence[Observation]) -> tuple[float, float]:
    seconds = np.array([seen.seconds_per_pair for seen in observations])
    inverse = 1 / np.array([seen.effective_size for seen in observations])
    design = np.stack([np.ones_like(inverse), inverse], axis=1) / seconds[:, None]
    target = np.ones_like(seconds)
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    if (solution < 0).any():  # one cost is too small to estimate: fit the other alone
        solution = np.maximum(solution, 0)
        (kept,) = np.flatnonzero(solution)
        column = design[:, kept]
        solution[kept] = column @ target / (column @ column)
    return float(solution[0]), float(solution[1])


def _alike(record: StudyRecord, study: StudyConfig, platform: str) -> bool:
    held, asked = record.settings.resources, study.resources
    return (
        record.settings.encoder == study.encoder
        and record.settings.data == study.data
        and all(getattr(held, name) == getattr(asked, name) for name in RESOURCES)
        and record.facts.environment.platform == platform
    )


def _observed(trial: TrialRecord) -> Iterable[Observation]:
    size = trial.config.batch.effective_size
    for evaluation in _evaluated(trial):
        yield Observation(size, trial.config.fusion.kind, 1 / evaluation.pairs_per_second)


def _evaluated(trial: TrialRecord) -> list[Evaluation]:
    """Return a trial's evaluations, one per step; rungs passed by the same step share it."""
    return list({evaluation.step: evaluation for evaluation in trial.evaluations}.values())


def _overhead(trial: TrialRecord) -> float:
    """Return a trial's duration over its training and evaluation time; checkpoints add most."""
    stretch, evaluated = _stretch(trial), _evaluated(trial)
    if stretch is None:
        return 1.0
    seconds = evaluated[-1].train_seconds + sum(e.evaluation_seconds for e in evaluated)
    return max(1.0, (stretch[1] - stretch[0]) / seconds)


def _in_one_go(record: StudyRecord) -> bool:
    return all(trial.attempts == 1 for trial in record.trials)


def _places(record: StudyRecord) -> list[list[tuple[float, float]]]:
    """Return the start and end of the trials that followed each other in each place.

    A trial takes the place on its nodes that became free most recently, or else a new place.
    """
    places: list[tuple[tuple[str, ...], list[tuple[float, float]]]] = []
    for begun, ended, nodes in sorted(filter(None, map(_stretch, record.trials))):
        free = [place for where, place in places if where == nodes and place[-1][1] <= begun]
        if free:
            max(free, key=lambda place: place[-1][1]).append((begun, ended))
        else:
            places.append((nodes, [(begun, ended)]))
    return [place for _, place in places]


def _stretch(trial: TrialRecord) -> tuple[float, float, tuple[str, ...]] | None:
    """Return the start and end of a trial and its nodes, if known; None if it has no times."""
    if trial.placed:
        return trial.placed[0].placed, trial.placed[0].ended, trial.placed[0].nodes
    if trial.started is not None and trial.ended is not None:
        return trial.started, trial.ended, ()
    return None


def _boot(record: StudyRecord) -> float:
    """Return the seconds from the study's start until a node joined; 0 if one was there before."""
    joined = [node.joined - record.created for node in record.nodes if not node.head]
    return max(0.0, min(joined, default=0.0))


def _gaps(place: Sequence[tuple[float, float]]) -> Iterable[float]:
    """Yield the seconds from each end to the next start in the same place."""
    for (_, ended), (begun, _) in pairwise(place):
        yield begun - ended


def _ramp(places: Sequence[Sequence[tuple[float, float]]]) -> Iterable[float]:
    """Yield the mean time between the first trials of consecutive places."""
    if len(places) > 1:
        first = [place[0][0] for place in places]
        yield (max(first) - min(first)) / (len(first) - 1)
