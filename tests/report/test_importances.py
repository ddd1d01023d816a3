"""Importances of a search's settings: a planted one is found, and what they rest on is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.page.studies import search
from tuner.report.importances import LEAST, caveat, importances


def test_the_setting_that_scores_follow_is_first(tmp_path: Path) -> None:
    study = search(tmp_path, trials=120)
    found = importances(study)
    assert found is not None
    assert next(iter(found.shares)) == "optim.lr" and found.shares["optim.lr"] > 0.4
    assert sum(found.shares.values()) == pytest.approx(1)
    assert "fusion.layer" in found.shares  # though it applies to some trials alone
    sampled = [trial for trial in study.ranked() if trial.origin == "sampler"]
    assert found.complete == len(sampled) and found.best >= 5


def test_selection_by_asha_is_said(tmp_path: Path) -> None:
    study = search(tmp_path, trials=60)
    found = importances(study)
    assert found is not None
    stopped = sum(trial.state == "pruned" for trial in study.trials)
    told = caveat(found, study)
    assert f"ASHA stopped {stopped} other trials" in told and "not missing at random" in told
    assert f"the {found.best} best" in told and f"all {found.complete} complete" in told
    unpruned = [trial for trial in study.trials if trial.state == "completed"]
    told = caveat(found, study.model_copy(update={"trials": tuple(unpruned)}))
    assert "ASHA" not in told


def test_too_few_trials_or_equal_scores_say_nothing(tmp_path: Path) -> None:
    study = search(tmp_path, trials=60)
    complete = [t for t in study.trials if t.state == "completed" and t.origin == "sampler"]
    few = study.model_copy(update={"trials": tuple(complete[: LEAST - 1])})
    assert importances(few) is None
    last = complete[0].last
    assert last is not None
    same = [trial.model_copy(update={"evaluations": (last,)}) for trial in complete]
    assert importances(study.model_copy(update={"trials": tuple(same)})) is None
