"""The conclusion: each sentence's branches, on planted studies and on numbers put in by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.page.examples import printed
from tests.scaling.effects import about, effect, whole
from tests.scaling.planted import SMALL, planted, said
from tests.scaling.studies import planned, recorded
from tuner.blocks import Section
from tuner.report.page.scaling import conclusion_blocks, sections
from tuner.scaling.findings import interval, main_findings, other_findings
from tuner.scaling.model import Effect, Fit
from tuner.scaling.result import Scaled
from tuner.scaling.sentences import _close, sentences
from tuner.search.rates import TunedRate
from tuner.statistics.joint import Joint
from tuner.study.trial import TrialConfig
from tuner.wording import points


def small(folder: Path, *fails: int, stop_at: int | None = None) -> str:
    record = recorded(planned(folder, **SMALL), planted, fails, stop_at)
    return " ".join(sentences(Scaled.of(record)))


def test_the_design_is_told_as_it_was_planned(result: Scaled) -> None:
    design, held, rates, rests, *_ = sentences(result)
    assert design == (
        "36 configurations were planned, each with seeds 1, 2, 3: effective batch size B 16, 32, "
        "64; share of cross-lingual batches β 0, 0.5, 1; layers the last alone, k = 2 fused with "
        "the last; granularity language, pair."
    )
    assert held == (
        "Every trial has a budget of 640 pairs, whatever its B: a larger B takes fewer steps. No "
        "trial was stopped early."
    )
    assert rates == (
        "The learning rate of each B is the one of 0.0001, 0.001, 0.01 with the highest mean dev "
        "accuracy on en, de, over seeds 8, 9, which are not compared, at mix.cross_lingual 0.5: "
        "0.001 at B = 16, 0.001 at B = 32, 0.001 at B = 64. At other settings another rate may be "
        "the best."
    )
    assert "36 configurations with seeds 1, 2, 3." in rests


def test_equal_steps_are_told_as_steps(tmp_path: Path) -> None:
    told = sentences(Scaled.of(recorded(planned(tmp_path, design__hold="steps"), planted)))
    assert "a budget of 20 steps, whatever its B: a larger B sees more pairs" in told[1]
    assert any("at equal steps" in sentence for sentence in told)


def test_the_claim_and_what_was_read_end_it(result: Scaled) -> None:
    assert sentences(result)[-4:] == (
        "Dev scores of the targets are the response. They were not used to choose anything.",
        "Test was not read.",
        "All findings are for nano's artificial languages and say nothing about natural ones.",
        "Claim: zero-shot for es, ja; trained on en, de (machine-translated: yes).",
    )


def test_dev_that_chose_is_said_to_have_chosen(tmp_path: Path) -> None:
    oracle = planned(tmp_path, **SMALL, protocol={"kind": "oracle"})
    told = " ".join(sentences(Scaled.of(recorded(oracle, planted))))
    assert "Dev scores of es, ja are the response, and they also helped to choose" in told
    assert "not used to choose" not in told
    alone = planned(tmp_path, **SMALL, protocol={"kind": "zero_shot", "record_oracle": False})
    told = " ".join(sentences(Scaled.of(recorded(alone, planted))))
    assert "Dev scores of the targets were not recorded" in told


def test_planted_effects_are_shown_with_their_means(result: Scaled) -> None:
    told = " ".join(sentences(result))
    assert "A significant effect of β (from β = 0 to 1) was found: +5.00 points" in told
    assert "means 68.50 % at β = 0, 71.00 % at β = 0.5, 73.50 % at β = 1." in told
    assert "A significant effect of log₂ B (per doubling) was found: +2.00 points" in told
    assert "means 69.00 % at B = 16, 71.00 % at B = 32, 73.00 % at B = 64." in told
    assert "effect of k = 2 (against the last layer alone) was found: +3.00 points" in told
    assert (
        "On the sources (en, de), significant effects are β (from β = 0 to 1) −4.00 points" in told
    )
    assert "On the targets akin to English (es), significant effects are β" in told
    assert "No B was found beyond which" in told and "at equal pairs and up to B = 64" in told


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            effect("β", 2.0, 1.0, 0.01),
            "A significant effect of β (from β = 0 to 1) was found: +2.00",
        ),
        (effect("β", 2.0, 3.0, 0.4), "No effect of β (from β = 0 to 1) was found: +2.00 points"),
        (
            effect("β", 2.0, 1.9, 0.2),
            "(from β = 0 to 1) was found after adjustment for all effects: ",
        ),
        (
            effect("log₂ B", -1.0, 0.2, 0.0001),
            "(per doubling) was found: −1.00 points (95 % CI −1.20 to",
        ),
        (effect("k = 2", 0.1, 0.2, 0.9), "No effect of k = 2 (against another) was found"),
        (effect("β × log₂ B", 1.0, 0.5, 0.02), "Significant interactions: β × log₂ B"),
        (
            effect("β × log₂ B", 1.0, 1.5, 0.2),
            "not significant after adjustment for all effects: β × log₂ B +1.00",
        ),
    ],
)
def test_what_is_shown_and_what_is_not(found: Effect, sentence: str, result: Scaled) -> None:
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    assert sentence in said(result, found, control)


def test_every_effect_has_one_place(result: Scaled) -> None:
    """A curvature stands with its factor, and is no interaction; none is left out."""
    told = main_findings(result, "targets")
    for each in result.fits["targets"].effects:
        name = each.name.replace("granularity", "Control, granularity")
        found = [
            s for s in told if re.search(rf"(of |: |; |^|significant |No ){re.escape(name)}[ ,]", s)
        ]
        places = [s for s in found if f"{interval(each.estimate)}" in s]
        assert len(places) == 1, (each, places)


def test_what_the_adjustment_alone_leaves_unshown_has_its_p_value(result: Scaled) -> None:
    """Its interval lies on one side of 0, and nobody should wonder why it is not shown."""
    found = effect("β", 2.0, 1.9, 0.2), effect("k = 2", 0.1, 0.2, 0.9)
    fit = replace(result.fits["rest"], effects=found)
    told = other_findings(replace(result, fits={"rest": fit}), "rest")
    assert told == (
        "On the other targets (ja), no effect is significant. On the other targets (ja), main "
        "effects not significant after adjustment for all effects are β +2.00 points (95 % CI "
        "+0.10 to +3.90), p = 0.200; k = 2 +0.10 points (95 % CI −0.10 to +0.30)."
    )


def test_of_other_responses_all_that_is_shown_is_said(result: Scaled) -> None:
    """Curvatures and interactions, too; of what was not shown the main effects alone."""
    found = (
        effect("β", 2.0, 1.0, 0.01),
        effect("k = 2", 0.1, 0.2, 0.9),
        effect("curvature of β", -3.0, 1.0, 0.01),
        effect("curvature of log₂ B", 0.3, 1.0, 0.9),
        effect("β × log₂ B", 1.5, 0.5, 0.02),
        effect("β × k = 2", 0.7, 1.5, 0.9),
    )
    fit = replace(result.fits["rest"], effects=found)
    assert other_findings(replace(result, fits={"rest": fit}), "rest") == (
        "On the other targets (ja), significant effects are β (from β = 0 to 1) +2.00 points (95 % "
        "CI +1.00 to +3.00); curvature of β (against another) −3.00 points (95 % CI −4.00 to "
        "−2.00); β × log₂ B (against another) +1.50 points (95 % CI +1.00 to +2.00). On the other "
        "targets (ja), main effects not significant after adjustment for all effects are k = 2 "
        "+0.10 points (95 % CI −0.10 to +0.30)."
    )
    fit = replace(fit, effects=found[:1])
    told = other_findings(replace(result, fits={"rest": fit}), "rest")
    assert told.endswith("+3.00).") and "not significant" not in told


def test_the_number_of_effects_that_p_values_are_adjusted_for(result: Scaled) -> None:
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    assert "p-values are adjusted for 1 effect (Holm)." in said(result, control)
    told = said(result, control, missing=(1,))
    assert "1 combination of the levels was not fitted" in told
    assert "adjusted for 2 effects (Holm)." in said(result, control, effect("β", 1, 1, 1))


def test_granularity_is_the_control(result: Scaled) -> None:
    none = said(result, effect("granularity pair", 0.4, 0.9, 0.5))
    assert "no evidence for an effect of how pairs are put into batches" in none
    assert "not exclude a difference of 1.30 points." in none
    better = said(result, effect("granularity pair", 2.0, 0.9, 0.001))
    assert "pair is significantly better." in better
    worse = said(result, effect("granularity pair", -2.0, 0.9, 0.001))
    assert "language is significantly better." in worse


def test_without_another_granularity_there_is_no_control(tmp_path: Path) -> None:
    assert "Granularity was language throughout" in small(tmp_path)


def test_a_rate_that_is_hardly_better_than_another_is_said_to_be(result: Scaled) -> None:
    """Means of the objective, 0 to 1; within 0.1 points of the second best."""
    choices = {
        16: TunedRate(1e-3, {1e-4: 0.8, 1e-3: 0.9007, 1e-2: 0.9}),
        32: TunedRate(1e-3, {1e-4: 0.8, 1e-3: 0.902, 1e-2: 0.9}),
        64: TunedRate(1e-3, {1e-3: 0.9}),
    }
    told = " ".join(sentences(replace(result, choices=choices)))
    assert (
        "0.001 at B = 16 (0.07 points above 0.01), 0.001 at B = 32, 0.001 at B = 64. At other"
    ) in told


def test_a_misfit_is_said(result: Scaled) -> None:
    control = effect("granularity pair", 0.0, 1.0, 1.0)
    bent = Joint(9.0, 5.0, 20.0, 0.0004, 36 * 1.44)
    told = said(result, control, lack=bent)
    assert "the fitted model (p < 0.001; about 1.20 points, root mean square)" in told
    straight = replace(bent, p=0.4)
    assert "fitted model was found (p = 0.400)." in said(result, control, lack=straight)
    assert "lack of fit cannot be tested" in said(result, control, lack=None)
    told = said(result, control, refused=("β × k = 2 is not fitted: mixed up",), missing=(1, 2))
    assert "β × k = 2 is not fitted: mixed up. 2 combinations of the levels were not fitted" in told


@pytest.mark.parametrize(("best", "end"), [(1e-4, "lowest"), (1e-2, "highest")])
def test_a_rate_at_the_edge_is_flagged(best: float, end: str, tmp_path: Path) -> None:
    def truth(config: TrialConfig, language: str) -> float:
        if config.seed >= 8 and config.batch.effective_size == 64:
            return 0.9 if config.optim.lr == best else 0.6
        return planted(config, language)

    record = recorded(planned(tmp_path), truth)
    told = " ".join(sentences(Scaled.of(record)))
    assert f"At B = 64 the chosen rate, {best:g}, is the {end} of the grid" in told
    assert "B = 64 is excluded from all effects and means below." in told
    assert f"its best learning rate is the {end} of the grid." in whole(Scaled.of(record))
    assert not re.search(r"% at B = 64|over B = 64|up to B = 64", told)


def test_failed_left_and_collapsed_trials_are_counted(tmp_path: Path) -> None:
    told = small(tmp_path, 11)
    assert "1 compared trial failed (011). A seed that is not complete" in told
    assert "4 configurations with seeds 1, 3." in told
    assert "because every seed failed: B = 16, β = 0, last layer alone." in small(
        tmp_path, 6, 10, 14
    )
    assert "6 compared trials of the plan have not ended." in small(tmp_path, stop_at=12)
    assert "1 compared trial of the plan has not ended." in small(tmp_path, stop_at=17)
    tuning = small(tmp_path, stop_at=5)
    assert "Not all trials used to choose learning rates have ended." in tuning
    assert "The learning rate of each B" not in tuning
    nowhere = small(tmp_path, 3, 4, 5)
    assert "At B = 64 every rate failed with at least one seed" in nowhere

    def collapsing(seeds: set[int]) -> Scaled:
        def accuracy(config: TrialConfig, language: str) -> float:
            return 0.5 if config.seed in seeds else planted(config, language)

        return Scaled.of(recorded(planned(tmp_path, **SMALL), accuracy))

    some = collapsing({2})
    told = " ".join(sentences(some))
    assert "4 compared trials collapsed (010, 011, 012, 013), at or below the 50.00%" in told
    compared = sum(map(len, some.seeds_of.values()))
    assert compared == 12 and whole(some).startswith("At equal pairs"), "4 of 12 are few"
    most = whole(collapsing({1, 2}))
    assert most.startswith("8 of 12 compared trials collapsed: they are no better than always")


def test_equal_rates_are_said_to_be() -> None:
    assert (
        _close(TunedRate(1e-3, {1e-3: 0.6, 1e-2: 0.6}))
        == " (tied with 0.01; the lower rate is taken)"
    )
    assert _close(TunedRate(1e-3, {1e-3: 0.6, 1e-2: 0.5995})) == " (0.05 points above 0.01)"
    assert _close(TunedRate(1e-3, {1e-3: 0.6, 1e-2: 0.598})) == ""


def test_numbers_are_written_alike_everywhere() -> None:
    assert interval(about(1.0, 0.5, 0.01)) == "+1.00 points (95 % CI +0.50 to +1.50)"


def test_the_terminal_shows_effects_means_and_conclusion(result: Scaled) -> None:
    conclusion = Section("Answer", tuple(conclusion_blocks(result)), brief=True)
    text = printed([*sections(result), conclusion], width=100)
    fit: Fit = result.fits["targets"]
    for each in fit.effects:
        assert points(each.estimate.value) in text
    means = (
        "Mean dev accuracy of the sources (en, de), in % ± half of the 95 % interval, by B and β"
    )
    assert means in " ".join(text.split())
    assert "Claim: zero-shot for es, ja" in " ".join(text.split())
    assert other_findings(result, "rest") in " ".join(text.split())
