"""A study played through: hand-computed schedules, and who goes on."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest

from tests.plan.examples import PACE
from tuner.plan.evaluation_sets import EvaluationSets
from tuner.plan.landscape import Landscape
from tuner.plan.simulation import pairs_at, play
from tuner.study import StudyConfig
from tuner.study.file import validate_study
from tuner.study.space import Space

SETS = EvaluationSets(at_rungs=3, at_full=4)


def changed(study: StudyConfig, **settings: Any) -> StudyConfig:
    return validate_study(study.model_dump(mode="json") | settings, "the fixture")


@pytest.mark.parametrize(
    ("rung", "size", "seen"), [(100, 8, 104), (100, 50, 100), (100, 512, 512), (1, 1, 1)]
)
def test_a_rung_is_evaluated_at_the_first_step_past_it(rung: int, size: int, seen: int) -> None:
    assert pairs_at(rung, size) == seen


def test_without_asha_every_second_is_accounted_for(study: StudyConfig) -> None:
    """Three trials of 900 pairs on two places: the third follows the first that ends."""
    whole = changed(
        study,
        scheduler={"kind": "none"},
        budget={"trials": 3, "pairs_per_trial": 900},
        space={"batch.effective_size": [10, 20, 30]},  # all divide 900: 9 s, and 4 sets of .5 s
        baseline={"batch.effective_size": 20},
    )
    outcome = play(whole, 3, at_once=2, pace=PACE, sets=SETS, seed=0)
    assert outcome.reached == (3,)
    assert outcome.pairs == 2700 and outcome.sizes <= {10, 20, 30}
    assert outcome.busy == pytest.approx(33.0)
    assert outcome.seconds == pytest.approx(7 + 11 + 1 + 11)


def test_the_noise_probe_takes_time_at_every_rung(study: StudyConfig) -> None:
    """It takes as long as training in batches of 8 on that many pairs: 2 s for 128, 4 s for 256."""
    probed = changed(study, diagnostics={"gradient_noise": True, "noise_pairs": 128})
    languages = {"source": ["en"], "target": ["ja"]}
    one = changed(probed, languages=languages, protocol={}, trial={}, space={})
    slow = replace(PACE, per_step=8 * 0.01)
    for each, seconds in ((one, 2.56), (probed, 5.12)):
        without = changed(each, diagnostics={})
        reached = sum(play(each, 1, 1, slow, SETS, 0).reached)
        more = play(each, 1, 1, slow, SETS, 0).busy - play(without, 1, 1, slow, SETS, 0).busy
        assert more == pytest.approx(reached * seconds)


def test_a_longer_study_is_like_what_was_played(study: StudyConfig) -> None:
    played = play(study, 9, 3, PACE, SETS, 0)
    twice = played.extended(2.0, PACE.startup)
    assert twice.reached[0] == 18 and twice.pairs == 2 * played.pairs
    assert twice.seconds - 7 == pytest.approx(2 * (played.seconds - 7))


def test_rungs_that_one_step_passes_share_its_evaluation(study: StudyConfig) -> None:
    """B = 512 passes 100 and 300 pairs at once; 900 are passed at 1,024."""
    only = changed(
        study, baseline={"batch.effective_size": 512}, budget={"trials": 1, "pairs_per_trial": 900}
    )
    outcome = play(only, 1, at_once=1, pace=PACE, sets=SETS, seed=0)
    assert outcome.reached == (1, 1, 1)
    assert outcome.pairs == 1024
    assert outcome.busy == pytest.approx(0.01 * 1024 + (3 + 4) * 0.5)


@pytest.mark.takes_long("plays 32 studies through: the difference is one of means")
def test_all_reach_the_first_rung_and_more_go_on_where_the_sampler_learns(
    study: StudyConfig,
) -> None:
    def reached(kind: str) -> list[float]:
        large = changed(
            study,
            budget={"trials": 40, "pairs_per_trial": 900},
            sampler={"kind": kind},
            space={
                "optim.lr": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
                "mix.cross_lingual": {"type": "float", "low": 0, "high": 1},
            },
        )
        played = [play(large, 40, 4, PACE, SETS, seed).reached for seed in range(16)]
        return [fmean(numbers) for numbers in zip(*played, strict=True)]

    blind, learning = reached("random"), reached("tpe")
    assert blind[0] == learning[0] == 40
    assert 13 <= blind[1] < learning[1] < 40  # one in three, ties and early arrivals besides
    assert blind[2] < blind[1] and blind[2] < learning[2] < learning[1]


def test_a_study_is_played_alike_each_time(study: StudyConfig) -> None:
    assert (
        play(study, 9, 2, PACE, SETS, 3)
        == play(study, 9, 2, PACE, SETS, 3)
        != play(study, 9, 2, PACE, SETS, 4)
    )


def test_a_grid_is_played_whole(study: StudyConfig) -> None:
    grid = changed(
        study,
        sampler={"kind": "grid"},
        scheduler={"kind": "none"},
        budget={"pairs_per_trial": 900},
        space={"batch.effective_size": [8, 16, 24], "seed": [0, 1]},
        baseline=None,
        require=["batch.effective_size != 24 or seed == 0"],
    )
    outcome = play(grid, 5, 2, PACE, SETS, 0)
    assert outcome.reached == (5,)
    assert outcome.pairs == 2 * 904 + 2 * 912 + 912
    assert outcome.sizes == {8, 16, 24}


def test_a_landscape_has_its_best_value_inside_or_at_an_end(study: StudyConfig) -> None:
    """Quality is a function of the values alone, on the scale that the space has."""
    space = Space.model_validate(
        {
            "optim.lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
            "fusion.kind": ["last", "sum"],
        }
    )
    landscape = Landscape(space, seed=1)
    grid = [1e-4 * 10 ** (k / 50) for k in range(101)]
    qualities = [landscape.quality({"optim.lr": lr, "fusion.kind": "last"}) for lr in grid]
    turns = sum(
        (b - a) * (c - b) < 0
        for a, b, c in zip(qualities, qualities[1:], qualities[2:], strict=False)
    )
    assert turns <= 1 and len(set(qualities)) > 50
    assert landscape.quality({"fusion.kind": "last"}) != landscape.quality({"fusion.kind": "sum"})
    assert landscape.quality({"seed": 3}) == 0.0, "what the space does not vary has no weight"
