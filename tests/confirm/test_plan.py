"""The design of a confirmation comes from a search's record; refusals say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.confirm.examples import evaluated, study, trial
from tests.confirm.searches import made, searched
from tests.records import with_facts
from tuner.confirm.design import chosen, confirmation, fresh_seeds, planned_pairs, reference
from tuner.confirm.power import detectable, seed_variance
from tuner.errors import UserError
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.study.file import reopened_study


def design_of(config: StudyConfig) -> ConfirmDesign:
    assert isinstance(config.design, ConfirmDesign)
    return config.design


def test_distinct_configurations_the_control_and_fresh_seeds(tmp_path: Path) -> None:
    """Two seeds of one configuration are one arm, and the control is no other one."""
    config = made(tmp_path)
    design = design_of(config)
    assert [arm.name for arm in design.arms] == ["control", "trial 002", "trial 003"]
    assert [arm.search_score for arm in design.arms] == [None, 14 / 16, 12 / 16]
    assert design.seeds == (1001, 1002, 1003), "1000 was used"
    assert design.estimating == (1004, 1005, 1006, 1007, 1008, 1009)
    assert config.name == "small-confirm" and config.storage == tmp_path
    assert config.scheduler.kind == "none" and not config.space.root and config.baseline is None
    assert "seed" not in config.trial and config.trial["precision"] == "fp32"
    assert config.budget.total_pairs is None and config.checkpoint.keep_best == 6
    assert planned_pairs(config) == 3 * (800 + 816 + 800) + 6 * (816 + 800), "whole batches of 48"
    assert config.trials == 9 + 12, "at most: one of the sampled ones, and the control"
    assert len(design_of(made(tmp_path, top=1)).arms) == 2


def test_controls_are_the_best_of_their_kind(tmp_path: Path) -> None:
    """By hand: the trials with `last` are the baseline twice, once with the best score, and 003."""
    design = design_of(made(tmp_path))
    (control,) = design.controls
    assert (control.kind, control.arm, control.of) == ("fusion.kind last", "control", 3)
    assert design.completed == 5
    assert design.estimated("trial 002") == ["trial 002", "control"]
    assert design.estimated("control") == ["control"] and design.trials("control") == 9 + 6


def test_a_tuned_control_is_confirmed_whatever_its_rank(tmp_path: Path) -> None:
    """No trial mixes languages but one, and the best with `last` is not among the top."""
    search = searched(tmp_path)
    better = evaluated({"en": 8, "de": 7})
    mixed = {**search.trials[1].params, "mix.cross_lingual": 0.5}
    trials = [t for t in search.trials if t.number != 4]
    trials[-1] = trial(4, "", 0, better, **{k: v for k, v in mixed.items() if k != "seed"})
    few = searched(tmp_path, trials, budget={"trials": 5, "pairs_per_trial": 800})
    arms, controls, _ = chosen(few, reopened_study(few.settings, tmp_path / "small"), 1)
    assert [arm["name"] for arm in arms] == ["control", "trial 004", "trial 002", "trial 003"]
    assert [(each["setting"], each["arm"], each["of"]) for each in controls] == [
        ("mix.cross_lingual", "trial 002", 4),
        ("fusion.kind", "trial 003", 2),
    ]


def test_its_budget_is_the_share_that_the_search_left(tmp_path: Path) -> None:
    budget = {
        "trials": 6,
        "pairs_per_trial": 800,
        "total_pairs": 40_000,
        "wall": "2h",
        "confirm_share": 0.5,
    }
    config = made(tmp_path, budget=budget)
    assert config.budget.total_pairs == 20_000 and config.budget.wall == "1h"
    with pytest.raises(UserError, match=r"trains up to 33,872 pairs, and .* leaves it 20,000"):
        made(tmp_path, seeds=(10, 6), budget=budget)


def test_another_one_has_other_seeds_and_knows_of_the_first(tmp_path: Path) -> None:
    search = searched(tmp_path)
    again = confirmation(search, tmp_path / "small", 2, (3, 4), ["small-confirm"])
    assert again.name == "small-confirm-2"
    assert design_of(again).seeds == (2000, 2001, 2002)
    assert design_of(again).estimating == (2003, 2004, 2005, 2006)
    assert design_of(again).earlier == ("small-confirm",)
    assert not {*fresh_seeds(search, 500)} & {*fresh_seeds(search, 500, 1)}


def test_what_may_be_set(tmp_path: Path) -> None:
    search, folder = searched(tmp_path), tmp_path / "small"
    overrides = ["resources.cpus_per_trial=2", "budget.wall=3h"]
    config = confirmation(search, folder, 1, (1, 2), (), overrides)
    assert config.resources.cpus_per_trial == 2 and config.budget.wall == "3h"
    for text in ("budget.pairs_per_trial=8", "trial.optim.lr=1e-3", "protocol.kind=oracle"):
        with pytest.raises(UserError, match=text.partition("=")[0]):
            confirmation(search, folder, 1, (1, 2), (), [text])


ONE = {"trials": 1, "pairs_per_trial": 800}


def test_a_search_that_has_not_ended_is_not_confirmed(tmp_path: Path) -> None:
    """Test would be read, and the search could go on after it."""
    folder = tmp_path / "small"
    search = searched(tmp_path)
    under_way = [*search.trials[:-1], search.trials[-1].model_copy(update={"state": "running"})]
    for trials, ended in ((under_way, 5), (search.trials[:-1], 5)):
        with pytest.raises(UserError, match=f"small has not ended, {ended} of its 6 tr") as refused:
            confirmation(search.model_copy(update={"trials": tuple(trials)}), folder, 5, (3, 6))
        assert f"--set budget.trials={len(trials)}" in refused.value.remedy
    ended_early = searched(tmp_path, list(search.trials[:-1]), budget=ONE | {"trials": 5})
    assert confirmation(ended_early, folder, 5, (3, 6)).name == "small-confirm"


def test_what_cannot_be_confirmed(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    search = searched(tmp_path)
    with pytest.raises(UserError, match="has no control") as refused:
        confirmation(searched(tmp_path, baseline=None), folder, 5, (3, 6))
    assert "baseline:" in refused.value.remedy
    few = searched(tmp_path, list(search.trials[:1]), budget=ONE)
    with pytest.raises(UserError, match="no trial of small that was sampled has reached"):
        confirmation(few, folder, 5, (3, 6))
    design = made(tmp_path).model_dump(mode="json")
    with pytest.raises(UserError, match="small-confirm is a planned design"):
        confirmation(study("small-confirm", design, ()), tmp_path / "small-confirm", 5, (3, 6))


def test_the_external_reference_is_xtremes_recipe_in_english_alone(tmp_path: Path) -> None:
    search = searched(tmp_path)
    config = reference(search, tmp_path / "small", made(tmp_path))
    assert config.name == "small-reference"
    assert config.languages.source == ("en",) and config.languages.target == ("de", "es", "ja")
    assert config.budget.pairs_per_trial == 5 * 640
    (arm,) = design_of(config).arms
    assert arm.name == "reference" and arm.settings == {}
    assert design_of(config).seeds == (1004, 1005, 1006, 1007, 1008, 1009)
    assert design_of(config).estimating == (), "nothing is chosen"
    (trained,) = config.corner_configs()
    optim = trained.optim
    assert (optim.lr, optim.warmup_ratio, optim.weight_decay) == (2e-5, 0.0, 0.0)
    assert (optim.eps, optim.max_grad_norm, optim.schedule) == (1e-8, 1.0, "linear")
    assert trained.batch.effective_size == 32 and trained.mix.cross_lingual == 0
    assert trained.fusion.kind == "last" and trained.precision == "fp32"


def test_no_reference_without_english_to_train_on(tmp_path: Path) -> None:
    search = searched(tmp_path)
    german = with_facts(search, data={"counts": {"train": {"de": 640}}})
    with pytest.raises(UserError, match="trains on en, which is not a source language"):
        reference(german, tmp_path / "small", made(tmp_path))


def test_what_stands_beside_a_search_goes_where_that_stands_now(tmp_path: Path) -> None:
    """It was begun in `tmp_path`, and moved."""
    search, moved = searched(tmp_path), tmp_path / "moved" / "small"
    confirmed = confirmation(search, moved, 1, (1, 2))
    assert confirmed.folder == moved.parent / "small-confirm"
    assert reference(search, moved, confirmed).folder == moved.parent / "small-reference"


def test_what_it_can_find_is_told_from_the_search(tmp_path: Path) -> None:
    """The two seeds of one configuration score 13/16 and 14/16."""
    search = searched(tmp_path)
    assert seed_variance(search) == pytest.approx(((1 / 16) ** 2 / 2 + (6 / 16) ** 2 / 2) / 2)
    found = detectable(search, made(tmp_path, seeds=(3, 5)))
    more = detectable(search, made(tmp_path, seeds=(3, 20)))
    assert found is not None and more is not None and found[1]
    assert 0 < more[0] < found[0] < 2
    silent = with_facts(search, overlap={"rows": {}})
    assert detectable(silent, made(tmp_path)) is None
