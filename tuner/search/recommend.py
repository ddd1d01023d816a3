"""What a confirmation recommends, and which of its trials are still to be evaluated on test.

Pure functions of the study's record. The choice reads the objective, which permitted dev makes up,
and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from tuner.journal.records import ENDED, Recommendation, StudyRecord, TrialRecord
from tuner.study.design import ConfirmDesign
from tuner.timing import now

NONE_WHOLE = "nothing is recommended, since every configuration has a seed that failed"


def objectives(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Mean objective over the seeds, 0 to 1, of every arm that has them all, in the arms' order.

    A collapsed seed counts like any other. An arm one of whose seeds failed has no mean: it would
    be one over other seeds than those of its siblings.
    """
    scores: dict[str, list[float]] = {arm.name: [] for arm in design.arms}
    for trial in trials:
        if trial.state == "completed" and trial.last:
            scores[trial.arm].append(trial.last.objective)
    return {arm: fmean(own) for arm, own in scores.items() if len(own) == len(design.seeds)}


def recommendation(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> Recommendation | None:
    """The arm with the highest mean objective; of equal ones the first; None where none has all.

    Args:
        design: its arms and seeds.
        trials: of the study, all of them ended.
    """
    means = objectives(design, trials)
    if not means:
        return None
    arm = max(means, key=lambda name: means[name])
    return Recommendation(time=now(), arm=arm, objective=means)


def has_test(study: StudyRecord) -> bool:
    """Whether the study's data has a test split, in any of its languages."""
    return any(study.facts["data"]["counts"].get("test", {}).values())


def untested(study: StudyRecord) -> list[TrialRecord]:
    """Trials that reached their full budget and were not evaluated on test, which there is."""
    return [trial for trial in study.complete if not trial.tests] if has_test(study) else []


def all_ended(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Whether every trial that was planned is there and has ended."""
    planned = len(design.arms) * len(design.seeds)
    return len(study.trials) == planned and all(trial.state in ENDED for trial in study.trials)


def concluded(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Whether nothing is left: no trial, no recommendation that could be fixed, no test."""
    if not all_ended(design, study):
        return False
    if study.recommendation is None:
        return not objectives(design, study.trials)
    return not untested(study)
