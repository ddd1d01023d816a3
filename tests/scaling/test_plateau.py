"""The B beyond which nothing is gained, in words, on numbers put in by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scaling.effects import about, effect
from tests.scaling.planted import said
from tests.scaling.studies import planned, recorded
from tuner.scaling.model import Plateau
from tuner.scaling.result import Scaled
from tuner.scaling.sentences import sentences
from tuner.study.trial import TrialConfig


def test_the_batch_size_beyond_which_nothing_is_gained(result: Scaled) -> None:
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    bounds = {16: 2.5, 32: 0.31}
    told = said(result, control, plateau=Plateau(0.5, {16: 1.0, 32: -0.2}, bounds, 32))
    assert (
        "Beyond B = 32 there is no relevant gain: at equal pairs and up to B = 64, the gain of any "
        "larger B over it is at most +0.31 points (simultaneous 95 % bounds), and a gain below 0.5 "
        "points is not relevant"
    ) in told
    told = said(result, control, plateau=Plateau(0.5, {16: 1.0, 32: -0.2}, bounds, None))
    assert "up to +2.50 over B = 16 (estimated +1.00), +0.31 over B = 32 (estimated −0.20)" in told
    assert "relevant gain" not in said(result, control, plateau=None)


def test_a_larger_batch_that_was_left_out_is_not_among_those_that_gain_nothing(
    tmp_path: Path,
) -> None:
    """At B = 32 the best rate is the grid's highest; its compared trials are 10 points better."""

    def truth(config: TrialConfig, _: str) -> float:
        middle = config.batch.effective_size == 32
        if config.seed >= 8:
            return 0.9 if config.optim.lr == (1e-2 if middle else 1e-3) else 0.6
        return 0.8 if middle else 0.7

    result = Scaled.of(recorded(planned(tmp_path), truth))
    assert result.at_edge == (32,)
    told = " ".join(sentences(result))
    assert (
        "Beyond B = 16, excluding B = 32, there is no relevant gain: at equal pairs and up to "
        "B = 64, the gain of any other larger B over it is at most"
    ) in told
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    told = said(result, control, plateau=Plateau(0.5, {16: 1.0}, {16: 2.5}, None))
    assert "up to B = 64, excluding B = 32, a larger B may gain up to +2.50 over B = 16" in told
    told = said(
        result,
        control,
        plateau=Plateau(0.5, {16: -1.0}, {16: -0.4}, 16),
        means=sizes(B16=70, B64=69),
    )
    assert "accuracy at every other larger B is lower by at least 0.40 points" in told


def test_smaller_batches_that_were_left_out_are_no_larger_ones(tmp_path: Path) -> None:
    """At 8 and 16 the rate is the grid's highest: 32 is the least that is compared."""

    def truth(config: TrialConfig, _: str) -> float:
        if config.seed < 8:
            return 0.7
        best = 1e-2 if config.batch.effective_size < 32 else 1e-3
        return 0.9 if config.optim.lr == best else 0.6

    space = {"batch.effective_size": [8, 16, 32, 64], "mix.cross_lingual": [0.0, 1.0]}
    tuning = {"lr": [1e-4, 1e-3, 1e-2], "seeds": [8], "at": {"mix.cross_lingual": 1.0}}
    result = Scaled.of(recorded(planned(tmp_path, space=space, design__tuning=tuning), truth))
    assert result.at_edge == (8, 16)
    found = Plateau(0.5, {32: 1.0}, {32: 2.5}, None)
    told = said(result, effect("β", 0.0, 1.0, 1.0), plateau=found)
    assert "up to B = 64, a larger B may gain up to +2.50 over B = 32" in told


def sizes(**means: float) -> dict[str, object]:
    return {"effective_size": {int(size[1:]): about(mean, 1, 1) for size, mean in means.items()}}


def test_where_every_larger_batch_is_lower_no_gain_is_spoken_of(result: Scaled) -> None:
    """An upper bound of the gain below 0 is a lower bound of the loss."""
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    found = Plateau(0.5, {16: 1.0, 32: -0.9}, {16: 2.5, 32: -0.07}, 32)
    told = said(result, control, plateau=found, means=sizes(B16=70, B32=71, B64=70.5))
    assert (
        "Beyond B = 32 there is no gain: at equal pairs and up to B = 64, accuracy at every larger "
        "B is lower by at least 0.07 points (simultaneous 95 % bounds)."
    ) in told
    assert "at most −0.07" not in told


@pytest.mark.parametrize("bound", [-0.07, 0.31])
def test_a_smaller_batch_that_did_no_worse_is_named(bound: float, result: Scaled) -> None:
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    found = Plateau(0.5, {16: 1.0, 32: -0.2}, {16: 2.5, 32: bound}, 32)

    def told(**means: float) -> str:
        return said(result, control, plateau=found, means=sizes(**means))

    assert "; a smaller one did no worse: the highest mean is that of B = 16." in told(
        B16=71.1, B32=71, B64=70.5
    )
    assert "the highest mean up to B = 32 is that of B = 16." in told(B16=71.1, B32=71, B64=71.2)
    assert "a smaller one" not in told(B16=70.9, B32=71, B64=71.2)
    assert "a smaller one" not in told(B16=71, B32=71, B64=70)
