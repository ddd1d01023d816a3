"""The answer in a paragraph: each of its branches, on numbers put in by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.report.page.examples import printed
from tests.scaling.effects import effect, whole
from tests.scaling.planted import SMALL, planted
from tests.scaling.studies import best_at, planned, recorded
from tuner.blocks import Words
from tuner.report.page.scaling import conclusion_blocks, sections
from tuner.scaling.model import Effect
from tuner.scaling.result import Scaled, cell_of
from tuner.scaling.sentences import sentences
from tuner.study.trial import TrialConfig


def short(result: Scaled, *effects: Effect) -> str:
    """The answer where the fit of the targets has these effects."""
    fit = replace(result.fits["targets"], effects=effects)
    return whole(replace(result, fits={"targets": fit}))


def test_the_answer_says_what_was_shown_and_what_was_not(result: Scaled) -> None:
    told = short(
        result,
        effect("β", 2.0, 1.0, 0.2),
        effect("curvature of β", 3.0, 1.0, 0.01),
        effect("log₂ B", -0.2, 0.5, 1.0),
        effect("β × log₂ B", -0.5, 0.4, 0.04),
        effect("k = 2", 0.1, 1.0, 1.0),
        effect("β × k = 2", 5.0, 1.0, 0.001),
        effect("granularity pair", 0.3, 1.0, 1.0),
    )
    assert (
        "the share of cross-lingual batches has a significant effect (" in told
    )  # by its curvature
    assert "No significant effect of the batch size was found: −0.20 points" in told
    assert "changes significantly with the batch size: −0.50 points" in told
    assert "No significant effect of fusing layer 2 with the last was found: +0.10 points" in told
    assert "drawn pair by pair, instead of whole batches of one kind" in told
    assert "+5.00" not in told, "an interaction is no effect of the layer"
    told = short(result, effect("β", 2.0, 3.0, 0.2), effect("log₂ B", 1.0, 0.5, 0.01))
    assert "no significant effect of the share of cross-lingual batches was found" in told
    assert "The batch size has a significant effect: +1.00 points" in told


def test_what_was_shown_has_its_interval_in_the_answer(result: Scaled) -> None:
    beta, bent = effect("β", 2.0, 1.0, 0.01), effect("curvature of β", 3.0, 1.0, 0.01)
    straight = "+2.00 points (95 % CI +1.00 to +3.00) from β = 0 to 1"
    curved = "and a curvature (against another) of +3.00 points (95 % CI +2.00 to +4.00)."
    assert f"): {straight}." in short(result, beta)
    assert f"): {straight}." in short(result, beta, replace(bent, adjusted=0.2))
    assert f"): {straight}, {curved}" in short(result, beta, bent)
    unshown = replace(beta, adjusted=0.2)
    assert f"): {straight} (not significant by itself), {curved}" in short(result, unshown, bent)


def among(result: Scaled, **effects: tuple[Effect, ...]) -> str:
    """The answer where the fits of some responses have these effects."""
    fits = {name: replace(result.fits[name], effects=each) for name, each in effects.items()}
    return whole(replace(result, fits=fits))


def test_opposite_effects_on_the_two_kinds_of_targets_are_in_the_answer(result: Scaled) -> None:
    """Their mean over the targets hides them."""
    beta, up, down = (
        effect("β", 0.5, 1.0, 1.0),
        effect("β", 4.0, 1.0, 0.01),
        effect("β", -3.0, 1.0, 0.01),
    )
    assert (
        " From β = 0 to 1, accuracy falls on the targets akin to English (es), −3.00 points (95 % "
        "CI −4.00 to −2.00), and rises on the other targets (ja), +4.00 points (95 % CI +3.00 to "
        "+5.00); both effects are significant."
    ) in among(result, targets=(beta,), enf=(down,), rest=(up,))
    turned = among(result, targets=(beta,), enf=(up,), rest=(down,))
    assert "accuracy rises on the targets akin to English (es), +4.00" in turned
    assert "and falls on the other targets (ja), −3.00" in turned
    for enf, rest in ((up, up), (replace(down, adjusted=0.2), up), (down, beta)):
        assert "accuracy" not in among(result, targets=(beta,), enf=(enf,), rest=(rest,))


def test_the_answer_has_the_sources_beside_the_targets(result: Scaled) -> None:
    """β however it came out, and B where it was shown."""
    beta, size = effect("β", 2.0, 3.0, 0.4), effect("log₂ B", 1.0, 0.5, 0.01)
    told = among(result, targets=(beta,), sources=(beta, size))
    assert told.endswith(
        "On the sources (en, de), no significant effect of the share of cross-lingual batches was "
        "found: +2.00 points (95 % CI −1.00 to +5.00) from β = 0 to 1; the batch size has a "
        "significant effect: +1.00 points (95 % CI +0.50 to +1.50) per doubling."
    )
    told = among(result, targets=(beta,), sources=(beta, replace(size, adjusted=0.2)))
    assert told.endswith("(95 % CI −1.00 to +5.00) from β = 0 to 1.")
    assert "On the sources (en, de), the share of cross-lingual batches has" in whole(result)


def test_a_batch_size_that_is_left_out_is_in_the_answer_with_what_to_do(tmp_path: Path) -> None:
    """At B = 64 the rate lies at an end, so that B = 16 alone is left; then neither is."""

    def truth(config: TrialConfig, language: str) -> float:
        edge = config.seed >= 8 and config.batch.effective_size == 64
        return 0.95 if edge and config.optim.lr == 1e-2 else planted(config, language)

    told = whole(Scaled.of(recorded(planned(tmp_path, **SMALL), truth)))
    assert (
        " B = 64 is excluded: its best learning rate is the highest of the grid. Repeat with a "
        "wider grid, as a study with another name. All findings are for B = 16: no effect of batch "
        "size was estimated."
    ) in told
    assert "significant effect" in told, "of β it is"
    told = whole(Scaled.of(recorded(planned(tmp_path, **SMALL), truth, fails=(3, 4, 5))))
    assert (
        "B = 64 is excluded: every learning rate failed with at least one tuning seed. Find out "
        "why those trials failed before you repeat the study. All findings are for B = 16:"
    ) in told
    told = whole(Scaled.of(recorded(planned(tmp_path, **SMALL), best_at(1e-4))))
    assert told == (
        "No effect was estimated: for every B that has a best learning rate, a better rate may "
        "exist. B = 16 is excluded: its best learning rate is the lowest of the grid. "
        "B = 64 is excluded: its best learning rate is the lowest of the grid. "
        "Repeat with a wider grid, as a study with another name."
    )


def test_a_batch_size_all_of_whose_trials_failed_is_in_the_answer(tmp_path: Path) -> None:
    """8 and 9 are B = 64 with seed 1 and both β; and so on, every fourth."""
    record = recorded(planned(tmp_path, **SMALL), planted, fails=(8, 9, 12, 13, 16, 17))
    assert "B = 64 is excluded: all of its compared trials failed. Find out why" in whole(
        Scaled.of(record)
    )


def test_where_no_batch_size_is_left_out_none_is_named(result: Scaled) -> None:
    assert "excluded" not in whole(result)


def test_without_a_fit_nothing_is_answered(result: Scaled) -> None:
    without = replace(result, fits={}, unfitted="it is so")
    assert whole(without) == "No effect was estimated: it is so."
    assert not any(section.brief for section in sections(without))
    first, *others = conclusion_blocks(without)
    assert first == Words("No effect was estimated: it is so.", "answer")
    assert "No effect was estimated" not in repr(others)


def test_means_of_fewer_configurations_stand_beside_no_effect(tmp_path: Path) -> None:
    """Means are over other combinations than the effects where one combination has failed."""
    crossed = {
        **SMALL,
        "space": {
            "batch.effective_size": [16, 64],
            "mix.cross_lingual": [0.0, 1.0],
            "mix.granularity": ["language", "pair"],
        },
    }

    def truth(config: TrialConfig, language: str) -> float:
        if config.seed >= 8:
            return planted(config, language)
        better = 0.06 if config.batch.effective_size == 16 else -0.06
        return 0.6 + better * config.mix.cross_lingual

    study = planned(tmp_path, **crossed)
    whole_design = Scaled.of(recorded(study, truth))
    assert " % at β = 0," in whole(whole_design)
    lost = [
        trial.number
        for trial in recorded(study, truth).trials
        if trial.origin == "design"
        and str(cell_of(trial.config)) == "B = 64, β = 1, last layer alone"
    ]
    assert len(lost) == 3
    holed = Scaled.of(recorded(study, truth, fails=lost))
    assert holed.fits["targets"].missing
    told = f"{whole(holed)} {' '.join(sentences(holed))}"
    assert " % at β = " not in told and " % at B = " not in told
    alike = "the combinations of the other settings that have every level"
    assert f"means by level are over {alike}." in told
    assert f"at equal pairs and up to B = 64, over {alike}, " in told
    assert f"by B and β, over {alike}" in printed(sections(holed), width=300)


def test_effects_are_told_against_what_they_were_compared_with(tmp_path: Path) -> None:
    """No trial had the last layer alone, nor whole batches of one kind and its languages."""
    study = planned(
        tmp_path,
        trial={"fusion.kind": "dlfa"},
        space={
            "batch.effective_size": [16],
            "fusion.layer": [1, 3],
            "mix.cross_lingual": [0.5],
            "mix.granularity": ["kind", "pair"],
        },
        design__tuning={
            "lr": [1e-4, 1e-3, 1e-2],
            "seeds": [8],
            "at": {"fusion.layer": 1, "mix.granularity": "kind"},
        },
    )
    told = whole(Scaled.of(recorded(study, planted)))
    assert "fusing layer 3 with the last instead of layer 1" in told
    assert (
        "(kind and languages drawn pair by pair, instead of batches of one kind, their languages "
        "drawn pair by pair)"
    ) in told


def test_collapsed_trials_that_are_left_out_are_no_warning(tmp_path: Path) -> None:
    """Every trial of B = 64 collapses, and its rate is then the lowest; B = 16 learns."""

    def truth(config: TrialConfig, language: str) -> float:
        return 0.5 if config.batch.effective_size == 64 else planted(config, language)

    result = Scaled.of(recorded(planned(tmp_path, **SMALL), truth))
    assert result.at_edge == (64,) and 2 * len(result.collapsed) >= 12
    assert whole(result).startswith("At equal pairs")


def test_rates_that_failed_are_named_and_may_hide_an_edge(tmp_path: Path) -> None:
    """Trial 2 is B = 16's at the highest rate."""

    def truth(config: TrialConfig, language: str) -> float:
        rising = {1e-4: 0.6, 1e-3: 0.7, 1e-2: 0.8}
        return rising[config.optim.lr] if config.seed >= 8 else planted(config, language)

    study = planned(tmp_path, **SMALL)
    broken = Scaled.of(recorded(study, truth, fails=(2,)))
    assert (
        "B = 16 is excluded: its best learning rate is the highest that did not fail."
    ) in whole(broken)
    assert "Find out why those trials failed before you repeat the study." in whole(broken)
    told = " ".join(sentences(broken))
    assert "is the eligible one of 0.0001, 0.001, 0.01 with the highest mean dev" in told
    assert "At B = 16, 0.01 was not eligible: at least one seed failed." in told
    diverged = Scaled.of(recorded(study, truth, fails=(2,), why="non_finite"))
    assert 16 not in diverged.at_edge and diverged.fits
    told = " ".join(sentences(diverged))
    assert "At B = 16, 0.01 was not eligible: training diverged with at least one" in told
    alone = whole(Scaled.of(recorded(study, truth, fails=(1, 2))))
    assert "B = 16 is excluded: its best learning rate is the only one that did" in alone
    assert "Find out why those trials failed" in alone and "Repeat with a wider grid" in alone


def test_one_configuration_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    def truth(config: TrialConfig, language: str) -> float:
        edge = config.seed >= 8 and config.batch.effective_size == 64
        return 0.95 if edge and config.optim.lr == 1e-2 else planted(config, language)

    sizes = {"batch.effective_size": [16, 64]}
    tuning = {"lr": [1e-4, 1e-3, 1e-2], "seeds": [8], "at": {}}
    study = planned(tmp_path, space=sizes, design__tuning=tuning)
    told = whole(Scaled.of(recorded(study, truth)))
    assert told.startswith(
        "No effect was estimated: all configurations but one are excluded (B = 16, β = 0, last "
        "layer alone is left). B = 64"
    )
