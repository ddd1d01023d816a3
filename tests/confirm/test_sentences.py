"""The conclusion: each sentence, in each of its forms, with numbers that were computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.confirm.arms import BETTER, CONTROL, two_arms
from tests.confirm.examples import confirmed
from tests.report.page.examples import printed
from tuner.confirm.arm import Contrast
from tuner.confirm.result import DEV, Confirmed
from tuner.confirm.sentences import conclusion, sentences
from tuner.report.page.confirmation import sections
from tuner.statistics.comparisons import FromBest
from tuner.statistics.variance import Estimate


def estimate(value: float, low: float, high: float, p: float) -> Estimate:
    return Estimate(value=value, error=0.01, freedom=4.0, low=low, high=high, p=p, seeds=3)


def with_difference(low: float, high: float, adjusted: float) -> str:
    result = Confirmed.of(two_arms())
    found = estimate((low + high) / 2, low, high, adjusted)
    contrast = Contrast("trial 007", "control", found, adjusted)
    return " ".join(sentences(replace(result, contrasts={"targets": [contrast]})))


def test_the_recommendation_its_claim_and_its_numbers() -> None:
    said = sentences(Confirmed.of(two_arms()))
    assert said[0] == (
        "Recommended before test was read: trial 007 (mix.cross_lingual 0, batch.effective_size "
        "32, optim.lr 2e-05, fusion.kind last). It scores 83.33 % in mean dev accuracy on en, de, "
        "averaged over 3 fresh seeds, the highest of the 2 configurations that were "
        "compared."
    )
    first = conclusion(Confirmed.of(two_arms()))
    assert first == said[: len(first)]
    assert "accuracy of 83.33 %, mean over the targets (es, ja)" in first[1]
    assert (
        "difference from the 45.83 % of the control on the targets was found: +37.50 points"
        in first[2]
        and first[3].endswith("(Hsu's comparison with the best).")
    )
    assert "best: control, trial 007 (" in first[3]
    assert "due to chance in these seeds. Each interval" in first[4]
    assert first[5].startswith("0 of the 3 seeds of trial 007 collapsed")
    assert "Up to 63 % of other seeds may" in first[5], "1 − 0.05^(1/3)"
    assert first[6] == ("Claim: zero-shot for es, ja; trained on en, de (machine-translated: yes).")
    text = " ".join(said)
    assert "trial 007 scored highest, with 95.00 %. Over 3 fresh seeds it scores 83.33 %" in text
    assert "The search's score was 11.67 points higher." in text
    assert "Collapsed seeds: 1 of 6 (1 of control)" in text
    assert "With 3 seeds and 1 comparison, a true difference" in text
    assert "Earlier confirmations" not in text


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "expected"),
    [
        (0.01, 0.03, 0.02, "significantly better than the 45.83 % of the control: +2.00 points"),
        (-0.03, -0.01, 0.0001, "significantly worse than the 45.83 % of the control: −2.00 points"),
        (-0.01, 0.03, 0.2, "No significant difference from the 45.83 % of the control"),
        (0.001, 0.03, 0.06, "on the targets was found: +1.55 points"),
    ],
    ids=["above", "below", "interval holds 0", "not after correction"],
)
def test_a_difference_is_shown_or_not(
    low: float, high: float, adjusted: float, expected: str
) -> None:
    said = with_difference(low, high, adjusted)
    assert expected in said
    shown = "p < 0.001" if adjusted < 0.001 else f"p = {adjusted:.3f}"
    ends = f"{100 * low:+.2f} to {100 * high:+.2f}".replace("-", "−")
    assert f"(95 % CI {ends}, {shown})" in said


def test_where_one_is_shown_to_be_the_best_on_dev_luck_has_not_chosen() -> None:
    result = Confirmed.of(two_arms())
    tied = {"control": False, "trial 007": True}
    arms = tuple(
        replace(arm, from_best={DEV: FromBest(0.1, 0.0, 0.2, tied[arm.name])})
        for arm in result.arms
    )
    said = " ".join(conclusion(replace(result, arms=arms)))
    assert "trial 007 is the best of 2 configurations (Hsu's comparison with the best)" in said
    assert "chance" not in said
    without = " ".join(conclusion(replace(Confirmed.of(two_arms()), languages=())))
    assert "due to chance in these seeds. 0 of the 3" in without


def test_where_nothing_varies_no_smallest_difference_is_told() -> None:
    """All have collapsed alike: the plan's noise is unknown, not nothing."""
    alike = {name: [CONTROL] * 3 for name in ("control", "trial 001")}
    result = Confirmed.of(confirmed(alike, "control"))
    assert result.detectable is None
    assert "power of 80 %" not in " ".join(sentences(result))


def test_equal_arms_the_control_and_earlier_confirmations() -> None:
    arms = {"control": [CONTROL] * 2, "trial 001": [CONTROL] * 2}
    study = confirmed(arms, "control", {"trial 001": 0.5}, earlier=["small-confirm"])
    said = " ".join(sentences(Confirmed.of(study)))
    assert "(tied with trial 001; the first is taken)" in said
    assert "2 of 2 configurations cannot be distinguished from the best" in said
    assert "The search's score was 6.25 points lower." in said
    assert "Earlier confirmations of the same search (small-confirm)" in said
    assert "No other configuration differs significantly from the control" in said
    assert "compared with the control" not in said


def test_the_reference_and_missing_tests() -> None:
    arms = {"reference": [BETTER, (BETTER[0], {})]}
    said = " ".join(sentences(Confirmed.of(confirmed(arms, "reference"))))
    assert said.startswith("The external reference scores ")
    assert "Not evaluated on test: 1 trial." in said
    assert "Hsu" not in said and "control" not in said


def test_the_tables() -> None:
    text = printed(sections(Confirmed.of(two_arms())), width=80)
    words = " ".join(text.split())
    assert "(recommended)" in words and "83.33 ± " in text and "+37.50 " in text
    assert "Always giving the most frequent label: 50.00 % on dev" in words
    assert "…" not in text
    tables = [line for line in text.splitlines() if line.startswith(("trial 007", "control"))]
    assert len(tables) >= 5 and max(map(len, tables)) <= 80
