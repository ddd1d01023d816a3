"""The recommendation of a confirmation, and the trials that it has yet to evaluate on test.

All functions are pure functions of the study's record. The choice reads only the objective, which
is computed from permitted dev alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from tuner.journal.records import END_STATES, Recommendation, StudyRecord, TrialRecord
from tuner.search.complete import complete_block
from tuner.study.design import ConfirmDesign
from tuner.timing import now

NONE_WHOLE = "nothing is recommended, since no run that could choose has completed"


def choice_is_due(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> bool:
    """Return whether all trials that choose have ended."""
    choosing = [trial for trial in trials if trial.config.seed in design.seeds]
    planned = len(design.arms) * len(design.seeds)
    return len(choosing) == planned and all(trial.state in END_STATES for trial in choosing)


def objectives(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Return the mean objective of each comparable arm over the seeds that choose, 0 to 1.

    A collapsed seed counts like any other. All means are over the same seeds: a run that failed
    costs its arm or its seed (`complete_block`).
    """
    scores: dict[str, dict[int, float]] = {arm.name: {} for arm in design.arms}
    for trial in trials:
        if trial.state == "completed" and trial.last and trial.config.seed in design.seeds:
            scores[trial.arm][trial.config.seed] = trial.last.objective
    arms, seeds = complete_block(scores)
    return {arm: fmean(scores[arm][seed] for seed in seeds) for arm in arms}


def recommended_arm(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> str | None:
    """Return the arm with the highest mean objective, the first of equal ones; None if none has."""
    means = objectives(design, trials)
    return max(means, key=lambda name: means[name], default=None)


def recommendation(design: ConfirmDesign, trials: Iterable[TrialRecord]) -> Recommendation | None:
    """Recommend an arm.

    Args:
        design: the confirmation's arms and seeds.
        trials: the study's trials; those that choose have ended.

    Returns:
        The recommendation; None if no run that could choose has completed.
    """
    trials = tuple(trials)
    arm = recommended_arm(design, trials)
    if arm is None:
        return None
    return Recommendation(time=now(), arm=arm, objective=objectives(design, trials))


def has_test(study: StudyRecord) -> bool:
    """Return whether the study's data has a test split in any of its languages."""
    return any(study.facts.data.counts.get("test", {}).values())


def estimating(study: StudyRecord) -> list[TrialRecord]:
    """Return the complete trials that may be evaluated on test, once an arm is recommended."""
    design = study.settings.design
    if not isinstance(design, ConfirmDesign) or study.recommendation is None:
        return []
    arms, seeds = design.estimated(study.recommendation.arm), design.estimates
    return [t for t in study.complete if t.arm in arms and t.config.seed in seeds]


def untested(study: StudyRecord) -> list[TrialRecord]:
    """Return the trials that have yet to be evaluated on test; none if the data has no test."""
    return [trial for trial in estimating(study) if not trial.tests] if has_test(study) else []


def all_ended(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Return whether every planned trial has been created and has ended."""
    if not choice_is_due(design, study.trials):
        return False
    if not design.estimating:
        return True
    if study.recommendation is None:
        return recommended_arm(design, study.trials) is None
    planned = design.trials(study.recommendation.arm)
    return len(study.trials) == planned and all(trial.state in END_STATES for trial in study.trials)


def concluded(design: ConfirmDesign, study: StudyRecord) -> bool:
    """Return whether nothing is left to run, to recommend, or to evaluate on test."""
    if not all_ended(design, study):
        return False
    if study.recommendation is None:
        return not objectives(design, study.trials)
    return not untested(study)
