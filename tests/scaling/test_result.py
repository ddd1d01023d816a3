"""The findings of a scaling study: planted answers, means by hand, what is left out and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records import facts, with_facts
from tests.scaling.planted import SMALL, planted
from tests.scaling.studies import best_at, planned, recorded
from tuner.errors import UserError
from tuner.journal.records import StudyRecord
from tuner.scaling.design import Cell
from tuner.scaling.result import Scaled, is_scaling
from tuner.study.file import validate_study
from tuner.study.trial import TrialConfig


def test_planted_effects_come_back_in_every_response(tmp_path: Path) -> None:
    result = Scaled.of(recorded(planned(tmp_path), planted))
    assert set(result.fits) == {"targets", "sources", "enf", "rest"}
    assert result.primary == "targets" and result.languages["enf"] == ("es",)
    assert len(result.fitted) == 36 and result.paired == (1, 2, 3) and result.left == 0
    effects = {
        response: {e.name: e.estimate.value for e in fit.effects}
        for response, fit in result.fits.items()
    }
    for response in ("targets", "enf", "rest"):
        assert effects[response]["β"] == pytest.approx(5.0)
        assert effects[response]["log₂ B"] == pytest.approx(2.0)
        assert effects[response]["k = 2"] == pytest.approx(3.0)
        assert effects[response]["granularity pair"] == pytest.approx(0.0)
    assert effects["sources"]["β"] == pytest.approx(-4.0)
    assert effects["sources"]["log₂ B"] == pytest.approx(0.0)


def test_means_are_those_of_the_seeds_scores(tmp_path: Path) -> None:
    """By hand: (60 + 70) / 2 at β 0 and B 16, and 9 points more at β 1 and B 64."""
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), planted))
    surface = result.fits["targets"].surface
    assert surface[16, 0.0].value == pytest.approx(65.0)
    assert surface[64, 1.0].value == pytest.approx(74.0)
    seeds = result.seeds_of[Cell(64, 1.0)]
    assert [seed.seed for seed in seeds] == [1, 2, 3]
    assert [seed.accuracy["targets"] for seed in seeds] == pytest.approx([0.74] * 3)
    assert [seed.accuracy["enf"] for seed in seeds] == pytest.approx([0.79] * 3)


def test_a_batch_size_at_the_edge_of_its_grid_is_in_no_fit(tmp_path: Path) -> None:
    def truth(config: TrialConfig, language: str) -> float:
        edge = config.batch.effective_size == 64 and config.seed >= 8
        return best_at(1e-2 if edge else 1e-3)(config, language)

    result = Scaled.of(recorded(planned(tmp_path), truth))
    assert result.at_edge == (64,) and result.choices[64].lr == 1e-2
    assert {cell.effective_size for cell in result.fitted} == {16, 32}
    assert {size for size, _ in result.fits["targets"].surface} == {16, 32}
    assert len(result.seeds_of[Cell(64, 0.0)]) == 3, "its scores are kept all the same"


def test_where_all_are_at_the_edge_nothing_is_fitted(tmp_path: Path) -> None:
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), best_at(1e-2)))
    assert result.fits == {} and result.fitted == () and "for every B that" in result.unfitted
    assert result.choices[16].edges == ("highest",)
    low = Scaled.of(recorded(planned(tmp_path, **SMALL), best_at(1e-4)))
    assert low.choices[64].edges == ("lowest",)


def test_a_failed_trial_leaves_its_seed_out_of_every_cell(tmp_path: Path) -> None:
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), planted, fails=(11,)))
    assert result.failed == (11,) and result.paired == (1, 3) and len(result.fitted) == 4
    assert {e.estimate.seeds for e in result.fits["targets"].effects} == {2}
    assert [seed.seed for seed in result.seeds_of[Cell(16, 0.0)]] == [1, 2, 3]


def test_a_cell_whose_seeds_all_failed_is_left_out_itself(tmp_path: Path) -> None:
    """6, 10 and 14 are B 16, β 0 with seeds 1, 2 and 3."""
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), planted, fails=(6, 10, 14)))
    assert result.empty == (Cell(16, 0.0),) and result.paired == (1, 2, 3)
    assert len(result.fitted) == 3 and result.fits["targets"].missing == (Cell(16, 0.0),)


def test_no_common_seed_is_said(tmp_path: Path) -> None:
    """6 is seed 1, 11 seed 2, 16 seed 3, of three different cells."""
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), planted, fails=(6, 11, 16)))
    assert result.fits == {} and "no seed is complete" in result.unfitted


def test_of_a_single_seed_nothing_is_concluded(tmp_path: Path) -> None:
    """6 is seed 1, 11 seed 2: seed 3 alone is left, and shows nothing of other seeds."""
    result = Scaled.of(recorded(planned(tmp_path, **SMALL), planted, fails=(6, 11)))
    assert result.fits == {} and result.fitted == () and result.paired == ()
    assert result.unfitted == (
        "only seed 3 is complete in all configurations that are not excluded, and one seed says "
        "nothing about other seeds"
    )


def test_an_unfinished_study_rests_on_the_seeds_that_it_has(tmp_path: Path) -> None:
    """Cells that are still to come are not taken for missing ones."""
    study = planned(tmp_path, **SMALL)
    result = Scaled.of(recorded(study, planted, stop_at=16))
    assert result.left == 2 and result.paired == (1, 2) and len(result.fitted) == 4
    first = Scaled.of(recorded(study, planted, stop_at=12))
    assert first.left == 6 and first.fits == {} and "only seed 1 is" in first.unfitted
    early = Scaled.of(recorded(study, planted, stop_at=8))
    assert early.fits == {} and early.left == 10 and early.empty == ()
    tuning = Scaled.of(recorded(study, planted, stop_at=5))
    assert not tuning.tuned and tuning.choices == {} and tuning.at_edge == ()


def test_collapsed_seeds_count_like_the_others(tmp_path: Path) -> None:
    def truth(config: TrialConfig, language: str) -> float:
        collapsed = config.seed == 2 and config.mix.cross_lingual == 1.0
        return 0.5 if collapsed else planted(config, language)

    result = Scaled.of(recorded(planned(tmp_path, **SMALL), truth))
    assert result.collapsed == (11, 13) and result.paired == (1, 2, 3)
    assert result.fits["targets"].surface[16, 1.0].value == pytest.approx((70 + 50 + 70) / 3)


def test_intervals_cross_seeds_with_components_of_shared_sentences(tmp_path: Path) -> None:
    """A difference that one seed alone has is not shown, however many pairs say so."""

    def truth(config: TrialConfig, language: str) -> float:
        if config.seed >= 8:
            return planted(config, language)
        return 0.95 if config.seed == 1 and config.mix.cross_lingual == 1.0 else 0.65

    effects = Scaled.of(recorded(planned(tmp_path, **SMALL), truth)).fits["targets"].effects
    beta = next(effect for effect in effects if effect.name == "β")
    assert beta.estimate.value == pytest.approx(10.0)
    assert beta.estimate.low < 0 < beta.estimate.high and beta.estimate.freedom < 5


def test_targets_that_were_not_recorded_have_no_fit(tmp_path: Path) -> None:
    study = planned(tmp_path, **SMALL, protocol={"kind": "zero_shot", "record_oracle": False})
    result = Scaled.of(recorded(study, planted))
    assert set(result.fits) == {"sources"} and result.primary == "sources"


def test_what_chose_the_rates_is_known(tmp_path: Path) -> None:
    zero_shot = Scaled.of(recorded(planned(tmp_path, **SMALL), planted))
    oracle = planned(tmp_path, **SMALL, protocol={"kind": "oracle"})
    assert zero_shot.chose == () and Scaled.of(recorded(oracle, planted)).chose == ("es", "ja")


def test_a_search_is_refused_in_words(tmp_path: Path) -> None:
    settings = planned(tmp_path).model_dump(mode="json") | {"design": None}
    settings["budget"]["trials"] = 8
    study = validate_study(settings, "the test")
    record = StudyRecord(
        name=study.name,
        id="abc",
        created=0.0,
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=study.rungs,
    )
    assert not is_scaling(record)
    with pytest.raises(UserError, match="not missing at random"):
        Scaled.of(record)


def test_a_journal_without_answers_is_refused_in_words(tmp_path: Path) -> None:
    record = recorded(planned(tmp_path, **SMALL), planted)
    trials = [
        trial.model_copy(
            update={"evaluations": tuple(e.model_copy(update={"answers": {}}) for e in found)}
        )
        for trial in record.trials
        if (found := trial.evaluations)
    ]
    older = record.model_copy(update={"trials": tuple(trials)})
    with pytest.raises(UserError, match="which dev pairs of es were classified correctly"):
        Scaled.of(older)
    without = with_facts(record, overlap={"rows": {}})
    with pytest.raises(UserError, match="share sentences"):
        Scaled.of(without)
