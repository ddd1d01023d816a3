"""The learning rate of each B: the best mean over tuning seeds; its edge; what is not eligible."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scaling.studies import planned, recorded
from tuner.journal.records import FailureKind
from tuner.search.rates import TunedRate, choices
from tuner.study.design import ScalingDesign
from tuner.study.trial import TrialConfig

RATES = (1e-4, 1e-3, 1e-2)


def chosen(
    folder: Path,
    scores: dict[float, tuple[float, float]],
    fails: tuple[int, ...] = (),
    why: FailureKind = "error",
) -> dict[int, TunedRate]:
    """Return the choice for one B, 16, from both seeds' scores at each rate, a seed at a time."""
    study = planned(folder, space={"batch.effective_size": [16], "mix.cross_lingual": [0.5]})
    assert isinstance(study.design, ScalingDesign)

    def truth(config: TrialConfig, _: str) -> float:
        return scores[config.optim.lr][config.seed - 8] if config.seed >= 8 else 0.6

    record = recorded(study, truth, fails, stop_at=6, why=why)
    return choices(study.design.tuning, record.trials)


def test_the_best_mean_not_the_best_seed(tmp_path: Path) -> None:
    found = chosen(tmp_path, {1e-4: (0.6, 0.9), 1e-3: (0.8, 0.8), 1e-2: (0.5, 0.5)})
    assert found[16].lr == 1e-3 and not found[16].at_edge
    assert found[16].means == pytest.approx({1e-4: 0.75, 1e-3: 0.8, 1e-2: 0.5})


@pytest.mark.parametrize(("best", "at_edge"), [(1e-4, True), (1e-3, False), (1e-2, True)])
def test_a_choice_at_either_end_is_flagged(best: float, at_edge: bool, tmp_path: Path) -> None:
    found = chosen(tmp_path, {lr: (0.9, 0.9) if lr == best else (0.6, 0.6) for lr in RATES})
    assert found[16].lr == best and found[16].at_edge == at_edge


def test_of_equal_rates_the_lowest(tmp_path: Path) -> None:
    found = chosen(tmp_path, {1e-4: (0.6, 0.6), 1e-3: (0.8, 0.8), 1e-2: (0.8, 0.8)})
    assert found[16].lr == 1e-3


def test_a_rate_that_failed_with_a_seed_is_not_eligible(tmp_path: Path) -> None:
    """Trial 4 is the second seed's at 1e-3, the best with the first one."""
    scores = {1e-4: (0.7, 0.7), 1e-3: (0.9, 0.9), 1e-2: (0.6, 0.6)}
    found = chosen(tmp_path, scores, fails=(4,))
    assert found[16].lr == 1e-4 and set(found[16].means) == {1e-4, 1e-2}
    assert chosen(tmp_path, scores, fails=(0, 1, 2)) == {}


def test_beyond_a_rate_that_failed_nothing_is_known(tmp_path: Path) -> None:
    """Trial 5 is the second seed's at 1e-2: what diverged is an edge, what broke shows none."""
    scores = {1e-4: (0.6, 0.6), 1e-3: (0.8, 0.8), 1e-2: (0.9, 0.9)}
    broken = chosen(tmp_path, scores, fails=(5,))[16]
    assert (broken.lr, broken.failed, broken.diverged) == (1e-3, (1e-2,), ())
    assert broken.at_edge and broken.end == "highest that did not fail"
    diverged = chosen(tmp_path, scores, fails=(5,), why="non_finite")[16]
    assert (diverged.lr, diverged.failed, diverged.diverged) == (1e-3, (), (1e-2,))
    assert not diverged.at_edge
    falling = {1e-4: (0.9, 0.9), 1e-3: (0.8, 0.8), 1e-2: (0.7, 0.7)}
    lowest = chosen(tmp_path, falling, fails=(5,))[16]
    assert lowest.end == "lowest of the grid" and lowest.outside and not lowest.hidden
    assert broken.hidden and not broken.outside


@pytest.mark.parametrize("left", RATES)
def test_one_rate_alone_is_an_edge_on_either_side(left: float) -> None:
    """Beyond it the grid ends where it is one of its ends; elsewhere rates have failed."""
    others = tuple(lr for lr in RATES if lr != left)
    alone = TunedRate(left, {left: 0.8}, failed=others)
    assert alone.edges == ("lowest", "highest") and alone.end == "only one that did not fail"
    assert alone.hidden and alone.outside == (left != 1e-3)
    assert not TunedRate(1e-3, {1e-3: 0.8}, diverged=(1e-4, 1e-2)).at_edge


def test_nothing_but_tuning_trials_is_read(tmp_path: Path) -> None:
    """Scored trials that are better elsewhere, and dev of the targets, choose nothing."""
    study = planned(tmp_path)
    assert isinstance(study.design, ScalingDesign)

    def truth(config: TrialConfig, language: str) -> float:
        best = 1e-2 if language in ("es", "ja") or config.seed < 8 else 1e-3
        return 0.9 if config.optim.lr == best else 0.6

    record = recorded(study, truth)
    found = choices(study.design.tuning, record.trials)
    assert {choice.lr for choice in found.values()} == {1e-3}
