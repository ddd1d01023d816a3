"""What follows from a failure: pure functions of a trial's record.

| kind | what happened | what follows |
|---|---|---|
| `out_of_memory` | the host's memory ran out, its worker is gone | goes on, micro-batch halved |
| `infeasible` | not even one pair fits in memory | the trial fails |
| `non_finite` | the loss or the gradient is no number | the trial fails |
| `lost` | the node or the process has gone | goes on from its checkpoint, not counted |
| `disk_full` | its checkpoint cannot be written | the study pauses |
| `user_error` | data or settings do not fit | the study pauses |
| `error` | anything else | tried again, `resources.max_failures` times |

Where a device's memory runs out in the middle of a step, the worker itself halves the micro-batch
and runs the step again (`tuner.training.accumulation`): no failure at all. The effective batch size
stays what it is in either case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from math import ceil
from typing import Literal

from tuner.journal.records import Failure, TrialRecord
from tuner.study.parts import ResourcesConfig

Verdict = Literal["again", "failed", "pause"]

STUCK = 5
"""Losses in a row at the same place that are no accident: the trial itself ends its worker."""
ALIKE = 5
"""Trials that fail alike, none having been evaluated, after which the others would too."""


def verdict(trial: TrialRecord, resources: ResourcesConfig) -> tuple[Verdict, str]:
    """What follows from the latest failure of a trial.

    Args:
        trial: with that failure.
        resources: how often it is tried again, and how many workers share its steps.

    Returns:
        What is done, and the reason in words.
    """
    latest = trial.failures[-1]
    match latest.kind:
        case "out_of_memory":
            if micro_size(trial, resources.workers) == 0:
                return "failed", f"not even one pair fits: {latest.reason}"
            return "again", latest.reason
        case "lost":
            in_place = _lost_in_place(trial)
            if in_place < STUCK:
                return "again", latest.reason
            where = f"after {latest.pairs_seen:,} pairs"
            return "failed", f"lost {in_place} times {where}, the last time: {latest.reason}"
        case "disk_full" | "user_error":
            return "pause", latest.reason
        case "error":
            errors = counts(trial)["error"]
            if errors <= resources.max_failures:
                return "again", latest.reason
            times = f"failed {errors} times, the last time: " if errors > 1 else ""
            return "failed", times + latest.reason
        case _:
            return "failed", latest.reason


def counts(trial: TrialRecord) -> Counter[str]:
    """Failures of a trial by kind."""
    return Counter(failure.kind for failure in trial.failures)


def micro_size(trial: TrialRecord, workers: int) -> int:
    """Pairs of a forward pass at most: halved for every time that the host's memory ran out."""
    batch = trial.config.batch
    begun = min(batch.micro_size, ceil(batch.effective_size / workers))
    return begun >> counts(trial)["out_of_memory"]


def all_alike(trials: Collection[TrialRecord]) -> str:
    """Why it is of no use to go on, where that is so: every trial so far failed in the same way.

    Returns:
        The reason in words; empty where a trial was evaluated, or failures differ, or are few.
    """
    failed = [trial.failures[-1] for trial in trials if trial.state == "failed" and trial.failures]
    others_came_on = any(trial.evaluations or trial.state == "completed" for trial in trials)
    if len(failed) < ALIKE or others_came_on or len({_gist(failure) for failure in failed}) > 1:
        return ""
    return f"the first {len(failed)} trials all failed alike: {failed[-1].reason}"


def _gist(failure: Failure) -> tuple[str, str]:
    """What failures that are alike have in common: numbers and paths are left out."""
    return failure.kind, re.sub(r"[\d.]+|\S*/\S*|\bnan\b|\binf\b", "…", failure.reason)


def _lost_in_place(trial: TrialRecord) -> int:
    """How often in a row the trial was lost without having come on."""
    times = 0
    for failure in reversed(trial.failures):
        if failure.kind != "lost" or failure.pairs_seen != trial.failures[-1].pairs_seen:
            break
        times += 1
    return times
