"""The consequences of failures: pure functions of a trial's record.

| kind | what happened | what follows |
|---|---|---|
| `out_of_memory` | the host's memory ran out, the worker is gone | continues, micro-batch halved |
| `infeasible` | not even one pair fits in memory | the trial fails |
| `non_finite` | the loss or the gradient is NaN or infinite | the trial fails |
| `lost` | the node or the process is gone | continues from its checkpoint, not counted |
| `disk_full` | its checkpoint cannot be written | the study pauses |
| `user_error` | data or settings do not fit | the study pauses |
| `error` | anything else | tried again, `resources.max_failures` times |

If a device's memory runs out in the middle of a step, the worker itself halves the micro-batch and
runs the step again (`tuner.training.accumulation`); that is not a failure. The effective batch size
stays the same in either case.
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
"""Losses in a row at the same place after which the trial itself is taken to end its worker."""
ALIKE = 5
"""Trials that fail alike, with none evaluated, after which all others are expected to fail too."""


def verdict(trial: TrialRecord, resources: ResourcesConfig) -> tuple[Verdict, str]:
    """Decide what to do about the latest failure of a trial.

    Args:
        trial: the trial, whose record includes that failure.
        resources: the settings for how often it is retried and how many workers share its steps.

    Returns:
        The verdict, and the reason in words.
    """
    latest = trial.failures[-1]
    match latest.kind:
        case "out_of_memory":
            if micro_size(trial, resources.workers) == 0:
                return "failed", f"not even one pair fits in memory: {latest.reason}"
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
    """Count the failures of a trial by kind."""
    return Counter(failure.kind for failure in trial.failures)


def micro_size(trial: TrialRecord, workers: int) -> int:
    """Return the most pairs of a forward pass, halved each time that the host's memory ran out."""
    batch = trial.config.batch
    begun = min(batch.micro_size, ceil(batch.effective_size / workers))
    return begun >> counts(trial)["out_of_memory"]


def all_alike(trials: Collection[TrialRecord]) -> str:
    """Return a reason to stop the study if every trial so far failed in the same way.

    Returns:
        The reason in words; empty if a trial was evaluated, or the failures differ or are few.
    """
    failed = [trial.failures[-1] for trial in trials if trial.state == "failed" and trial.failures]
    others_came_on = any(trial.evaluations or trial.state == "completed" for trial in trials)
    if len(failed) < ALIKE or others_came_on or len({_gist(failure) for failure in failed}) > 1:
        return ""
    return f"the first {len(failed)} trials all failed in the same way: {failed[-1].reason}"


def _gist(failure: Failure) -> tuple[str, str]:
    """Return the kind and the reason without numbers and paths, equal for similar failures."""
    return failure.kind, re.sub(r"[\d.]+|\S*/\S*|\bnan\b|\binf\b", "…", failure.reason)


def _lost_in_place(trial: TrialRecord) -> int:
    """Count how many times in a row the trial was lost without any progress."""
    times = 0
    for failure in reversed(trial.failures):
        if failure.kind != "lost" or failure.pairs_seen != trial.failures[-1].pairs_seen:
            break
        times += 1
    return times
