"""Numbers of a confirmation, against those computed by hand from what each pair was taken for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.confirm.arms import BETTER, CONTROL, two_arms
from tests.confirm.examples import LANGUAGES, confirmed
from tests.records import with_settings
from tuner.confirm.result import Confirmed
from tuner.confirm.sentences import sentences
from tuner.errors import UserError


def test_means_differences_and_optimism_by_hand() -> None:
    result = Confirmed.of(two_arms())
    control, best = result.arms
    assert result.best is best and [arm.name for arm in result.estimated] == [
        "trial 007",
        "control",
    ]
    assert best.objective == pytest.approx((13 + 13 + 14) / 48)
    assert best.optimism == pytest.approx(0.95 - 40 / 48)
    assert control.optimism is None
    assert best.dev is not None and best.dev.value == pytest.approx(40 / 48)
    assert best.test["targets"].value == pytest.approx((13 + 13 + 14) / 48)
    assert best.test["es"].value == pytest.approx(7 / 8)
    assert control.test["targets"].value == pytest.approx((7 + 8 + 7) / 48)
    (difference,) = result.contrasts["targets"]
    assert (difference.arm, difference.control) == ("trial 007", "control")
    assert difference.estimate.value == pytest.approx((40 - 22) / 48)
    assert difference.adjusted == pytest.approx(difference.estimate.p), "one comparison"
    assert control.collapsed == (1001,), "at most the majority's 0.5"
    assert best.collapsed == () and result.test_majority == dict.fromkeys(LANGUAGES, 0.5)
    assert best.tested[1002]["ja"] == 7 / 8
    assert "rest" in best.test and best.test["rest"].value == best.test["ja"].value


def test_the_paired_interval_is_narrower_than_the_arms() -> None:
    """An error that both arms make on the same pairs is not a difference."""
    result = Confirmed.of(two_arms())
    paired = result.contrasts["sources"][0].estimate
    own = result.best.test["sources"]
    assert 0 <= paired.error < own.error


def test_the_heat_map_and_its_parts() -> None:
    right = {
        (first if first == second else f"{first}-{second}"): index % 9
        for index, (first, second) in enumerate(itertools.product(LANGUAGES, repeat=2))
    }
    arm = Confirmed.of(confirmed({"control": [(CONTROL[0], right)] * 2}, "control")).best
    cells = np.arange(16).reshape(4, 4) % 9 / 8
    values = {name: found.value for name, found in arm.pairs.items()}
    each = itertools.product(range(4), repeat=2)
    assert {pair: values[name] for pair, name in zip(each, right, strict=True)} == {
        (row, column): pytest.approx(cells[row, column]) for row in range(4) for column in range(4)
    }
    assert all(found.low <= found.value <= found.high for found in arm.pairs.values())
    mono = np.eye(4, dtype=bool)
    assert arm.areas["mono"].value == pytest.approx(cells[mono].mean())
    assert arm.areas["cross"].value == pytest.approx(cells[~mono].mean())
    assert arm.areas["seen"].value == pytest.approx(cells[:2, :2].mean())
    assert arm.areas["unseen"].value == pytest.approx(cells[2:, 2:].mean())
    mixed = np.concatenate([cells[:2, 2:].ravel(), cells[2:, :2].ravel()])
    assert arm.areas["mixed"].value == pytest.approx(mixed.mean())


def test_a_failed_seed_costs_its_arm_or_its_seed() -> None:
    """It costs the arm where two runs are lost with it, and three with the seed."""
    arms = {"control": [CONTROL] * 2, "trial 001": [BETTER, None], "trial 002": [BETTER] * 2}
    result = Confirmed.of(confirmed(arms, "trial 002"))
    broken = result.arm("trial 001")
    assert broken.failed == (1001,) and broken.objective == pytest.approx(13 / 16)
    assert broken.dev is not None and broken.dev.seeds == 1
    assert broken.from_best == {} and result.compared == ("control", "trial 002")
    for group in ("targets", "sources"):
        assert [each.arm for each in result.contrasts[group]] == ["trial 002"], "one seed is none"
    assert {arm.name for arm in result.arms if "targets" in arm.from_best} == {*result.compared}
    assert "Failed seeds: 1 of 6 (1 of trial 001)" in " ".join(sentences(result))


def test_a_failed_seed_of_two_arms_costs_the_seed() -> None:
    arms = {"control": [CONTROL] * 3, "trial 001": [BETTER, None, BETTER]}
    result = Confirmed.of(confirmed(arms, "trial 001"))
    assert result.compared == ("control", "trial 001")
    (contrast,) = result.contrasts["targets"]
    assert contrast.estimate.seeds == 2, "those that both have"
    assert contrast.estimate.value == pytest.approx((13 - 7) / 16)


def test_holm_over_the_arms() -> None:
    """Two comparisons: the smaller p-value counts double."""
    other = ({"en": 5, "de": 5}, {"en": 5, "de": 5, "es": 5, "ja": 3})
    arms = {"control": [CONTROL] * 2, "trial 001": [BETTER] * 2, "trial 002": [other] * 2}
    result = Confirmed.of(confirmed(arms, "trial 001"))
    first, second = result.contrasts["targets"]
    low, high = sorted([first, second], key=lambda found: found.estimate.p)
    assert low.adjusted == pytest.approx(min(1, 2 * low.estimate.p))
    assert high.adjusted == pytest.approx(max(low.adjusted, high.estimate.p))


def test_the_worst_language_is_the_least_of_means_over_seeds() -> None:
    """German is the worst of one seed, English of the other; English has the lower mean."""
    one = ({"en": 6, "de": 5}, CONTROL[1]), ({"en": 3, "de": 6}, CONTROL[1])
    study = confirmed(
        {"control": list(one), "trial 001": [BETTER, BETTER]}, "trial 001", worst=True
    )
    result = Confirmed.of(study)
    control = result.arms[0]
    assert control.objective == pytest.approx((5 + 3) / 16), "what chooses: each seed's worst"
    assert control.dev_set == "en" and control.dev is not None
    assert control.dev.value == pytest.approx(9 / 16)
    assert result.best.dev_set == "de" and result.compared_on == "en"
    said = " ".join(sentences(result))
    assert "On dev of en, where the mean over all configurations is lowest" in said


def test_what_is_no_confirmation_is_refused() -> None:
    study = two_arms()
    with pytest.raises(UserError, match="has not made a recommendation"):
        Confirmed.of(study.model_copy(update={"recommendation": None}))
    with pytest.raises(UserError, match="is not a confirmation"):
        Confirmed.of(with_settings(study, design=None))
    other = study.recommendation.model_copy(update={"arm": "nobody"})  # type: ignore[union-attr]
    with pytest.raises(UserError, match="not an arm of it"):
        Confirmed.of(study.model_copy(update={"recommendation": other}))
    damaged = study.trials[0].tests[0].model_copy(update={"answers": {"en": "AAAA"}})
    trial = study.trials[0].model_copy(update={"tests": (damaged,)})
    with pytest.raises(UserError, match="which test pairs of"):
        Confirmed.of(study.model_copy(update={"trials": (trial, *study.trials[1:])}))
