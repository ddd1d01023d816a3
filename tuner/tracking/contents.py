"""The contents of MLflow runs, made from records: names, notes, tags, params, metrics, artifacts.

These are pure functions of records, so that the same record always gives the same run. In addition
to the records' contents, trials get two metrics and a param that MLflow's table and plots need:
`SCORE`, `PAIRS_SEEN` and `LOWEST_LAYER`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tuner.journal.records import DIAGNOSTIC, Evaluation, Origin, StudyRecord, TrialRecord
from tuner.study.trial import flatten
from tuner.tracking.notes import moment, study_note, trial_note

if TYPE_CHECKING:
    from mlflow.entities import Metric

STATUS = {
    "pending": "SCHEDULED",
    "running": "RUNNING",
    "completed": "FINISHED",
    "paused": "FINISHED",
    "pruned": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
"""MLflow's status by our state; the tag `tuner.state` has ours."""
STUDY_PARAMS = (
    "data.source",
    "encoder.name",
    "languages.source",
    "languages.target",
    "protocol.kind",
    "protocol.objective",
    "protocol.strict_overlap",
    "budget.pairs_per_trial",
    "scheduler.kind",
    "scheduler.variant",
    "sampler.kind",
    "sampler.seed",
    "design.kind",
    "design.hold",
)
"""Settings that distinguish studies and never change, since MLflow refuses to change a param."""
ORIGIN_SUFFIXES: Mapping[Origin, str] = {
    "baseline": " baseline",
    "tuning": " tuning",
    "sampler": "",
    "enqueued": " enqueued",
    "added": " added",
    "design": "",
}
"""The word after a trial's number, by the trial's origin."""
SCORE = "select/score"
"""A metric: the objective at the full budget of a completed trial, by which trials may be ranked.

Trials that may not be ranked lack it: those that choose a learning rate, and those of a design that
holds steps equal.
"""
PAIRS_SEEN = "train/pairs_seen"
"""A metric that repeats the step, for columns and axes, where MLflow shows no steps."""
LOWEST_LAYER = "fusion.lowest_layer"
"""A param: the lowest layer that the head reads, which is k with fusion and the last one without.

Without fusion `fusion.layer` is absent, and MLflow's plots mishandle absent params: they leave such
runs out or draw them among the others.
"""
DECIMALS = 6
"""Decimals of a metric; the journal has all of them. For diagnostics, which have no fixed scale,
the number of significant digits."""
MAX_TAG, MAX_PARAM = 5000, 6000
"""Greatest lengths of a tag and of a param, in characters; longer ones are cut."""


@dataclass(frozen=True)
class Contents:
    """The whole contents of one run. Times are Unix times in milliseconds, as in MLflow."""

    name: str
    started: int
    ended: int
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[Metric]


def of_study(study: StudyRecord) -> Contents:
    """Return the parent run; its metrics are the best trial's, unconfirmed, as its note says."""
    ended = [trial.ended for trial in study.trials if trial.ended]
    best, metrics = study.best, []
    if best and best.last:
        named = {"best/objective": best.last.objective, "best/trial": float(best.number)}
        metrics = _points(named, best.last.time, step=0)
    settings = flatten(study.settings.model_dump(mode="json"))
    tags = _tags(study, study.state, study_note(study))
    if study.recommendation is not None:
        tags["tuner.recommendation"] = study.recommendation.arm
    return Contents(
        name=study.name,
        started=_milliseconds(study.created),
        ended=_milliseconds(max([study.created + study.seconds, *ended])),
        status=STATUS[study.state],
        tags=tags,
        params=_params(
            {
                name: settings.get(name)
                for name in STUDY_PARAMS
                if not (study.designed and name.startswith("sampler."))  # a design has no sampler
            }
        ),
        metrics=metrics,
    )


def of_trial(trial: TrialRecord, study: StudyRecord, parent: str) -> Contents:
    """Return a trial's run, as a child of the run `parent`."""
    if trial.state == "running" and study.state != "running":
        trial = trial.model_copy(update={"state": "interrupted"})  # its driver was killed
    started = trial.started or study.created
    tags = {
        "mlflow.parentRunId": parent,
        "tuner.trial": str(trial.number),
        "tuner.origin": trial.origin,
        "tuner.reason": trial.reason,
        "tuner.attempts": str(trial.attempts),
        "tuner.failures": _failures(trial),
    }
    if trial.arm:
        tags["tuner.arm"] = trial.arm
    if trial.tests:
        tags["tuner.test_read"] = ", ".join(moment(each.time) for each in trial.tests)
    params = trial.config.flat()
    last_layer = study.facts.encoder.layers
    fused = params["fusion.layer"]
    params[LOWEST_LAYER] = last_layer if fused is None else fused
    metrics = metrics_of(trial.evaluations)
    may_be_ranked = not study.designed or len(study.rungs) == 1
    if trial.state == "completed" and trial.last and may_be_ranked and trial.origin != "tuning":
        score = {SCORE: trial.last.objective}
        metrics += _points(score, trial.last.time, trial.last.pairs_seen)
        for each in trial.tests:
            metrics += _points(each.metrics(), each.time, trial.last.pairs_seen)
    return Contents(
        name=f"{trial.arm}, seed {trial.config.seed}"
        if trial.arm
        else f"trial {trial.number:03d}" + ORIGIN_SUFFIXES[trial.origin],
        started=_milliseconds(started),
        ended=_milliseconds(max(started, trial.ended or (trial.last.time if trial.last else 0.0))),
        status=STATUS[trial.state],
        tags=_tags(study, trial.state, trial_note(trial, study)) | _cut(tags),
        params=_params(params),
        metrics=metrics,
    )


def _failures(trial: TrialRecord) -> str:
    """Count failures by kind, as in `lost 2, out_of_memory 1`.

    A worker that runs out of device memory goes on with halved micro-batches and records no
    failure. Such halvings are counted from the micro-batch plan.
    """
    counts = Counter[str](failure.kind for failure in trial.failures)
    if trial.last:
        counts["out_of_memory"] = max(
            counts["out_of_memory"], len({size for _, size in trial.last.micro_plan}) - 1
        )
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if count)


def metrics_of(evaluations: Iterable[Evaluation]) -> list[Metric]:
    """Return points with `pairs_seen` as step and the records' times, so a replay adds none."""
    return [
        point
        for evaluation in evaluations
        for point in _points(
            {**evaluation.metrics(), PAIRS_SEEN: float(evaluation.pairs_seen)},
            evaluation.time,
            evaluation.pairs_seen,
        )
    ]


def artifacts(study: StudyRecord) -> dict[str, str]:
    """Return the files of the parent run: the resolved settings, and a file for each kind of fact.

    The file on the overlap of sentences has only the counts, since the rest is long and unreadable.
    """
    settings = study.settings.model_dump(mode="json")
    facts = study.facts.model_dump(mode="json", exclude_none=True)
    facts["overlap"] = facts["overlap"]["counts"]
    return {
        "study.yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
        **{
            f"{name}.json": json.dumps(block, indent=2)
            for name, block in facts.items()
            if isinstance(block, Mapping)
        },
    }


def _tags(study: StudyRecord, state: str, note: str) -> dict[str, str]:
    environment = study.facts.environment
    tags = {
        "mlflow.note.content": note,
        "mlflow.source.name": f"tuner {environment.tuner or ''}".strip(),
        "mlflow.source.git.commit": environment.commit or "",
        "tuner.study": study.name,
        "tuner.study_id": study.id,
        "tuner.claim": study.claim,
        "tuner.state": state,
    }
    return _cut(tags)


def _cut(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:MAX_TAG] for name, text in tags.items()}


def _params(values: Mapping[str, Any]) -> dict[str, str]:
    """Return params as MLflow's compare view reads them: booleans as 0 or 1, none absent."""
    shown = {}
    for name, value in values.items():
        if isinstance(value, bool):
            value = int(value)
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        if value is not None and value != "":
            shown[name] = str(value)[:MAX_PARAM]
    return shown


def _points(named: Mapping[str, float], time: float, step: int) -> list[Metric]:
    from mlflow.entities import Metric

    return [
        Metric(name, _rounded(name, value), _milliseconds(time), step)
        for name, value in named.items()
    ]


def _rounded(name: str, value: float) -> float:
    if name.startswith(DIAGNOSTIC):
        return float(f"{value:.{DECIMALS}g}")
    return round(value, DECIMALS)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
