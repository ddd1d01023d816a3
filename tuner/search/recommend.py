"""The recommendation of a confirmation, and the trials that it has yet to evaluate on test.

All functions are pure functions of the study's record. The choice reads only the objective, which
is computed from permitted dev alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from tuner.journal.records import END_STATES, Recommendation, StudyRecord, TrialRecord
from tuner.study.design import ConfirmDesign
from tuner.timing import now

NONE_WHOLE = "nothing is recommended, since every configuration has a seed that failed"


def objectives(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Return each complete arm's mean objective over its seeds, 0 to 1, in the arms' order.

    A collapsed seed counts like any other. An arm with a failed seed has no mean, since that would
    be a mean over different seeds from those of its siblings.
    """
    scores: dict[str, list[float]] = {arm.name: [] for arm in design.arms}
    for trial in trials:
        if trial.state == "completed" and trial.last:
            scores[trial.arm].append(trial.last.objective)
    return {arm: fmean(own) for arm, own in scores.items() if len(own) == len(design.seeds)}


def recommendation(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> Recommendation | None:
    """Recommend the arm with the highest mean objective, the first of equal ones.

    Args:
        design: the confirmation's arms and seeds.
        trials: the study's trials, all of them ended.

    Returns:
        The recommendation; None if no arm has completed all its seeds.
    """
    means = objectives(design, trials)
    if not means:
        return None
    arm = max(means, key=lambda name: means[name])
    return Recommendation(time=now(), arm=arm, objective=means)


def has_test(study: StudyRecord) -> bool:
    """Return whether the study's data has a test split in any of its languages."""
    return any(study.facts.data.counts.get("test", {}).values())


def untested(study: StudyRecord) -> list[TrialRecord]:
    """Return the trials at full budget not yet evaluated on test; none if the data has no test."""
    return [trial for trial in study.complete if not trial.tests] if has_test(study) else []


def all_ended(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Return whether every planned trial has been created and has ended."""
    planned = len(design.arms) * len(design.seeds)
    return len(study.trials) == planned and all(trial.state in END_STATES for trial in study.trials)


def concluded(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Return whether nothing is left to run, to recommend, or to evaluate on test."""
    if not all_ended(design, study):
        return False
    if study.recommendation is None:
        return not objectives(design, study.trials)
    return not untested(study)
