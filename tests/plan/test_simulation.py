"""A study played through: hand-computed schedules, and who goes on."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest

from tuner.config import TrialConfig
from tuner.plan.pace import Pace
from tuner.plan.simulation import pairs_at, play, proposals
from tuner.study import StudyConfig
from tuner.study_file import validate_study

PACE = Pace(
    per_pair=0.01,
    per_step=0.0,
    kinds={"last": 1.0},
    per_set=0.5,
    startup=7.0,
    between=1.0,
    source="",
)


def changed(study: StudyConfig, **settings: Any) -> StudyConfig:
    return validate_study(study.model_dump(mode="json") | settings, "the fixture")


def config(size: int) -> TrialConfig:
    return TrialConfig.from_flat({"batch.effective_size": size})


@pytest.mark.parametrize(
    ("rung", "size", "seen"), [(100, 8, 104), (100, 50, 100), (100, 512, 512), (1, 1, 1)]
)
def test_a_rung_is_evaluated_at_the_first_step_past_it(rung: int, size: int, seen: int) -> None:
    assert pairs_at(rung, size) == seen


def test_without_asha_every_second_is_accounted_for(study: StudyConfig) -> None:
    """Three trials of 900 pairs on two places: the third follows the first that ends."""
    whole = changed(study, scheduler={"kind": "none"})
    configs = [config(10), config(20), config(30)]  # all divide 900: 9 s, and 4 sets of .5 s
    outcome = play(whole, configs, at_once=2, pace=PACE, sets=4, seed=0)
    assert outcome.reached == (3,)
    assert outcome.pairs == 2700
    assert outcome.busy == pytest.approx(33.0)
    assert outcome.seconds == pytest.approx(7 + 11 + 1 + 11)


def test_rungs_that_one_step_passes_share_its_evaluation(study: StudyConfig) -> None:
    """B = 512 passes 100 and 300 pairs at once; 900 are passed at 1,024."""
    outcome = play(study, [config(512)], at_once=1, pace=PACE, sets=4, seed=0)
    assert outcome.reached == (1, 1, 1)
    assert outcome.pairs == 1024
    assert outcome.busy == pytest.approx(0.01 * 1024 + 2 * 4 * 0.5)


def test_all_reach_the_first_rung_and_about_one_in_eta_the_next(study: StudyConfig) -> None:
    large = changed(study, budget={"trials": 90, "pairs_per_trial": 900})
    played = [play(large, proposals(large)(seed), 4, PACE, 4, seed).reached for seed in range(8)]
    first, second, third = (fmean(reached) for reached in zip(*played, strict=True))
    assert first == 90
    assert 30 <= second <= 40  # asynchronous: early arrivals are judged by few
    assert second / 3 <= third <= second / 2


def test_the_baseline_is_never_stopped(study: StudyConfig) -> None:
    for seed in range(20):
        alone = play(study, [config(32), config(8), config(8), config(8)], 1, PACE, 4, seed)
        assert alone.reached[-1] >= 1


def test_proposals_are_those_of_the_study(study: StudyConfig) -> None:
    propose = proposals(study)
    assert propose(3) == propose(3) != propose(4)
    assert len(propose(0)) == 9
    assert propose(0)[0] == study.baseline_config()
    space = {"batch.effective_size": [8, 16, 24], "seed": [0, 1]}
    grid = changed(
        study,
        sampler={"kind": "grid"},
        budget={"pairs_per_trial": 900},
        space=space,
        baseline=None,
        require=["batch.effective_size != 24 or seed == 0"],
    )
    found = proposals(grid)(0)
    assert len(found) == 5
    assert len({config.model_dump_json() for config in found}) == 5
