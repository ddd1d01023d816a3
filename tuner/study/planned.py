"""The planned trials of a design, in order, with what is known before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tuner.errors import UserError
from tuner.study.design import (
    FACTORS,
    LARGEST_DESIGN,
    SIZE,
    TUNED,
    Arm,
    ConfirmDesign,
    DesignConfig,
    ScalingDesign,
)
from tuner.study.samplers import SamplerConfig
from tuner.study.space import compose
from tuner.study.trial import REFERENCE_BATCH, TrialConfig

if TYPE_CHECKING:
    from tuner.study import StudyConfig

Params = dict[str, Any]


def check_design(study: StudyConfig) -> None:
    """Refuse settings that contradict a study's design.

    Raises:
        ValueError: a setting contradicts it; the message says which.
    """
    design = study.design
    assert design is not None
    if study.scheduler.kind != "none":
        raise ValueError(
            "a design compares trials that all reach their full budget: write "
            "scheduler: {kind: none}"
        )
    if study.budget.trials is not None:
        raise ValueError(f"the design has {planned_trials(study)} trials: leave budget.trials out")
    if study.sampler != SamplerConfig():
        raise ValueError("a design has no sampler: leave the block out")
    if study.warm_start:
        raise ValueError("a design has no sampler that could learn: leave warm_start out")
    if study.enqueue:
        raise ValueError("a design has no points to enqueue: make them arms or points of its space")
    if study.baseline is not None:
        raise ValueError("a design has no baseline: make it one of the arms or points")
    if isinstance(design, ConfirmDesign):
        if study.space.root:
            raise ValueError("a confirmation has no space: its arms are in design.arms")
    else:
        _check_scaling(study, design)
    if planned_trials(study) > LARGEST_DESIGN:
        raise ValueError(f"the design has more than {LARGEST_DESIGN:,} trials")


def _check_scaling(study: StudyConfig, design: ScalingDesign) -> None:
    for name in study.space.root:
        if name not in (*FACTORS, "fusion.kind"):
            raise ValueError(
                f"space.{name}: a scaling study varies {', '.join(FACTORS)} (with fusion.kind); "
                f"fix others in `trial:`, and give seeds in design.seeds, learning rates in "
                f"design.tuning.lr"
            )
    if SIZE not in study.space.root:
        raise ValueError(f"a scaling study varies {SIZE}: give its values in `space:`")
    if TUNED in study.trial:
        raise ValueError(f"the design chooses {TUNED} for every {SIZE}: leave trial.{TUNED} out")
    for name in design.tuning.at:
        if name not in study.space.root or name == SIZE:
            raise ValueError(
                f"design.tuning.at.{name}: must be a setting of the space other than {SIZE}, for "
                f"every value of which the rate is tuned"
            )
    for point in tuning_points(study, design):
        if not study.feasible.keeps(point):
            raise ValueError(f"design.tuning.at violates a requirement at {SIZE} {point[SIZE]}")
    fusions = [config.fusion for config in planned_configs(study)]
    kinds = {fusion.kind for fusion in fusions if fusion.fuses}
    if len(kinds) > 1:
        raise ValueError(
            f"a scaling study compares the last layer with one kind of fusion, got "
            f"{', '.join(sorted(kinds))}: give each a study of its own"
        )


def planned_trials(study: StudyConfig) -> int:
    """Return how many trials a design has at most, those that tune learning rates included."""
    match study.design:
        case ConfirmDesign() as design:
            return design.trials()
        case ScalingDesign() as design:
            tuned = len(sizes(study)) * len(design.tuning.lr) * len(design.tuning.seeds)
            return tuned + len(study.feasible.grid()) * len(design.seeds)
        case None:
            raise AssertionError("the study has no design")


def sizes(study: StudyConfig) -> list[int]:
    """Return the effective batch sizes of a scaling study, ascending."""
    return sorted({int(point[SIZE]) for point in study.feasible.grid()})


def tuning_points(study: StudyConfig, design: ScalingDesign) -> list[Params]:
    """Return the points used to choose learning rates: all points of a seed, then the next."""
    return [
        {**design.tuning.at, SIZE: size, TUNED: lr, "seed": seed}
        for seed in design.tuning.seeds
        for size in sizes(study)
        for lr in design.tuning.lr
    ]


def scored_points(study: StudyConfig, design: ScalingDesign) -> list[Params]:
    """Return the points to compare, without learning rates: all points of a seed, then the next."""
    points = study.feasible.grid()
    return [{**point, "seed": seed} for seed in design.seeds for point in points]


def planned_params(study: StudyConfig) -> list[Params]:
    """Return the params of a design's trials, in order.

    A learning rate that is yet to be chosen is the middle one of its grid. A recommended arm that
    is yet to be chosen is the one whose batches are the largest, beside the tuned controls.
    """
    match study.design:
        case ConfirmDesign() as design:
            return [params for _, params in _confirming(study, design)]
        case ScalingDesign() as design:
            middle = design.tuning.lr[len(design.tuning.lr) // 2]
            scored = [{**point, TUNED: middle} for point in scored_points(study, design)]
            return [*tuning_points(study, design), *scored]
        case None:
            raise AssertionError("the study has no design")


def confirm_points(design: ConfirmDesign, recommended: str = "") -> list[tuple[str, Params]]:
    """Return a confirmation's points, each with its arm: all arms of a seed, then the next.

    Args:
        design: the confirmation.
        recommended: the recommended arm, for the points that estimate; "" for those that choose.
    """
    settings = {arm.name: arm.settings for arm in design.arms}
    seeds = design.estimating if recommended else design.seeds
    arms = design.estimated(recommended) if recommended else list(settings)
    return [(arm, {**settings[arm], "seed": seed}) for seed in seeds for arm in arms]


def _confirming(study: StudyConfig, design: ConfirmDesign) -> list[tuple[str, Params]]:
    def size(arm: Arm) -> tuple[int, int]:
        batch = configured(study, arm.settings).batch
        return len(design.estimated(arm.name)), batch.effective_size

    largest = max(design.arms, key=size)
    return [*confirm_points(design), *confirm_points(design, largest.name)]


def first_planned(study: StudyConfig) -> Params:
    """Return a scaling study's first compared point, at the middle rate of its grid."""
    assert isinstance(study.design, ScalingDesign)
    return planned_params(study)[len(tuning_points(study, study.design))]


def planned_configs(study: StudyConfig) -> Iterator[TrialConfig]:
    """Yield every configuration that a design can train, regardless of seeds."""
    match study.design:
        case ConfirmDesign(arms=arms):
            for arm in arms:
                yield configured(study, arm.settings)
        case ScalingDesign() as design:
            seed = design.seeds[0]
            for point in study.feasible.grid():
                for lr in (design.tuning.lr[0], design.tuning.lr[-1]):
                    yield configured(study, {**point, TUNED: lr, "seed": seed})
            for point in tuning_points(study, design):
                yield configured(study, point)
        case None:
            pass  # a search proposes its configurations as it goes


def configured(study: StudyConfig, params: Mapping[str, Any]) -> TrialConfig:
    """Return the configuration of planned settings on top of `trial:`.

    Raises:
        ValueError: the settings are not a valid trial.
    """
    return study.space.trial_config(study.trial, params)


def single_config(study: StudyConfig) -> TrialConfig:
    """Return the configuration for `tuner train`: the `trial:` block.

    For a scaling study, its first compared point is added on top.

    Raises:
        UserError: the block is not a valid trial.
    """
    if study.design is not None:
        return configured(study, first_planned(study))
    try:
        config = compose({}, study.trial, "the `trial:` block is not a valid trial")
        study.check_mix(config)
        if complaint := study.feasible.complaint({}):
            raise ValueError(f"the `trial:` block violates a requirement: {complaint}")
    except ValueError as error:
        raise UserError(str(error), "Complete or correct it: --set trial.KEY=VALUE") from error
    return config


def full_budget(design: DesignConfig | None, pairs_per_trial: int, size: int) -> int:
    """Return the full budget, in pairs, of a trial with batches of `size` pairs."""
    if isinstance(design, ScalingDesign) and design.hold == "steps":
        return -(-pairs_per_trial * size // REFERENCE_BATCH)
    return pairs_per_trial


def budgets(study: StudyConfig) -> tuple[int, ...]:
    """Return the full budgets of a design's trials, in pairs, ascending."""
    pairs = study.budget.pairs_per_trial
    match study.design:
        case ScalingDesign(hold="steps") as design:
            return tuple(sorted({full_budget(design, pairs, size) for size in sizes(study)}))
        case _:
            return (pairs,)
