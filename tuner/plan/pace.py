"""How long trials take: fitted to what was measured, in earlier studies or by a calibration.

A pair's share of training time at effective batch B is modelled as `per_pair + per_step / B`: what
each pair costs, and what each optimizer step costs whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tuner.config import TrialConfig
from tuner.protocol import MEANS
from tuner.records import Scores, StudyRecord, TrialRecord
from tuner.study import StudyConfig

STARTUP_SECONDS = 8.0
"""From a study's start to its first trial where no study has shown it: a worker imports torch."""
BETWEEN_SECONDS = 0.3
"""From a trial's end to the next one's start where no study has shown it."""
SHARED = ("encoder", "data")
"""Blocks of settings in which a study must agree for its speed to tell about another's."""


@dataclass(frozen=True)
class Observation:
    """A stretch of training: how long a pair took."""

    effective_size: int
    kind: str
    seconds_per_pair: float


@dataclass(frozen=True)
class Pace:
    """Seconds that trials take.

    Attributes:
        per_pair: of training, for each pair.
        per_step: of training, for each optimizer step.
        kinds: factor on both for each kind of fusion that was measured.
        per_set: to evaluate one dev set (one language).
        startup: from the study's start to its first trial.
        between: from a trial's end to the start of the next one in its place.
        source: where these come from, in words.
    """

    per_pair: float
    per_step: float
    kinds: dict[str, float]
    per_set: float
    startup: float
    between: float
    source: str

    @classmethod
    def fitted(
        cls,
        observations: Sequence[Observation],
        per_set: float,
        source: str,
        startup: float = STARTUP_SECONDS,
        between: float = BETWEEN_SECONDS,
    ) -> Pace:
        """Least squares of relative errors, no cost negative; kinds by their median ratio."""
        assert observations
        per_pair, per_step = _fit(observations)
        ratios: dict[str, list[float]] = {}
        for seen in observations:
            expected = per_pair + per_step / seen.effective_size
            ratios.setdefault(seen.kind, []).append(seen.seconds_per_pair / expected)
        kinds = {kind: median(values) for kind, values in ratios.items()}
        return cls(per_pair, per_step, kinds, per_set, startup, between, source)

    def training(self, config: TrialConfig, pairs: int) -> float:
        """Seconds to train on `pairs` pairs.

        A kind of fusion that was never measured costs as the others' median.
        """
        factor = self.kinds.get(config.fusion.kind, median(self.kinds.values()))
        steps = pairs / config.batch.effective_size
        return factor * (self.per_pair * pairs + self.per_step * steps)


def recorded_pace(study: StudyConfig, platform: str, records: Iterable[StudyRecord]) -> Pace | None:
    """The pace of earlier studies with this encoder, data, resources and platform; None: no such.

    The newest that ran to its end tells; the others of its kind add their speeds.
    """
    alike = [record for record in records if _alike(record, study, platform)]
    alike.sort(key=lambda record: record.created)
    trained = [t for record in alike for t in record.trials if t.evaluations and t.attempts == 1]
    if not trained:
        return None
    observations = [seen for trial in trained for seen in _observed(trial)]
    per_set = median(
        evaluation.evaluation_seconds / _sets(evaluation.select, evaluation.oracle)
        for trial in trained
        for evaluation in trial.evaluations
    )
    whole = [record for record in alike if record.state == "completed" and _in_one_go(record)]
    startups = [min(_started(record)) - record.created for record in whole]
    gaps = [gap for record in whole for gap in _gaps(record)]
    names = ", ".join(dict.fromkeys(record.name for record in alike))
    return Pace.fitted(
        observations,
        per_set,
        f"recorded by {names}: {len(trained)} trials",
        median(startups) if startups else STARTUP_SECONDS,
        median(gaps) if gaps else BETWEEN_SECONDS,
    )


def _fit(observations: Sequence[Observation]) -> tuple[float, float]:
    seconds = np.array([seen.seconds_per_pair for seen in observations])
    inverse = 1 / np.array([seen.effective_size for seen in observations])
    design = np.stack([np.ones_like(inverse), inverse], axis=1) / seconds[:, None]
    target = np.ones_like(seconds)
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    if (solution < 0).any():  # one cost is below what can be told: the other alone
        solution = np.maximum(solution, 0)
        (kept,) = np.flatnonzero(solution)
        column = design[:, kept]
        solution[kept] = column @ target / (column @ column)
    return float(solution[0]), float(solution[1])


def _alike(record: StudyRecord, study: StudyConfig, platform: str) -> bool:
    settings = study.model_dump(mode="json")
    resources = ("cpus_per_trial", "gpus_per_trial")
    return (
        all(record.settings[part] == settings[part] for part in SHARED)
        and all(record.settings["resources"][r] == settings["resources"][r] for r in resources)
        and record.facts["environment"]["platform"] == platform
    )


def _observed(trial: TrialRecord) -> Iterable[Observation]:
    size = trial.config.batch.effective_size
    distinct = {evaluation.step: evaluation for evaluation in trial.evaluations}
    for evaluation in distinct.values():  # rungs passed by one step share its evaluation
        yield Observation(size, trial.config.fusion.kind, 1 / evaluation.pairs_per_second)


def _sets(select: Mapping[str, Scores], oracle: Mapping[str, Scores]) -> int:
    return len({*select, *oracle} - {*MEANS})


def _in_one_go(record: StudyRecord) -> bool:
    return all(trial.attempts == 1 for trial in record.trials)


def _started(record: StudyRecord) -> list[float]:
    return [trial.started for trial in record.trials if trial.started is not None]


def _gaps(record: StudyRecord) -> Iterable[float]:
    """From each end to the first start after it."""
    starts = sorted(_started(record))
    for trial in record.trials:
        later = [start for start in starts if trial.ended is not None and start >= trial.ended]
        if trial.ended is not None and later:
            yield later[0] - trial.ended
