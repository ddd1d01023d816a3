"""Labels of the targets' dev and of all of test, turned over: what chooses must not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from tests.confirm.canary import corpus, run, settings
from tuner.confirm.design import confirmation
from tuner.errors import UserError
from tuner.run.prepare import prepare
from tuner.search.recommend import recommendation
from tuner.study.design import ConfirmDesign
from tuner.study.file import validate_study
from tuner.study.roles import Objective
from tuner.terminal.progress import ConsoleProgress

BUDGET = {"trials": 4, "pairs_per_trial": 960}
RUNGS = {"kind": "asha", "min_pairs": 480, "reduction_factor": 2}
OBJECTIVES: dict[Objective, dict[str, Any]] = {
    "mean": {},
    "worst": {},
    "cross_lingual": {},
    "balanced": {},
    "joint": {},
    "held_out": {"held_out": "de"},
    "pivot": {"kind": "pivot", "pivot": ["es"]},
}
"""Every objective, and what else it needs."""


def test_every_objective_has_its_canary() -> None:
    assert set(OBJECTIVES) == set(get_args(Objective))


def chosen(folder: Path, objective: Objective) -> tuple[list[Any], list[float]]:
    """All that a search and its confirmation choose; and what they saw of a target."""
    quiet = ConsoleProgress(Console(quiet=True))
    protocol = {"objective": objective, **OBJECTIVES[objective]}
    blocks: dict[str, Any] = {"protocol": protocol, "budget": BUDGET, "scheduler": RUNGS}
    if objective == "held_out":  # one language is left to train on
        blocks["space"] = {"optim.lr": settings(folder)["space"]["optim.lr"]}
    study = validate_study(settings(folder, **blocks), "the canary")
    prepared = prepare(study, quiet)
    search = run(study, prepared)
    planned = confirmation(search, study.folder, 1, (1, 2))
    again = run(planned, prepared)
    design = planned.design
    assert isinstance(design, ConfirmDesign)
    found = recommendation(design, again.trials)
    assert found is not None
    trials = [
        (t.params, t.state, [(e.objective, e.criteria) for e in t.evaluations])
        for t in (*search.trials, *again.trials)
    ]
    oracle = [t.last.oracle["ja"].accuracy for t in search.complete if t.last]
    planned_runs = [design.arms, design.seeds, design.estimating, design.controls]
    return [trials, planned_runs, found.arm, found.objective], oracle


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_turned_labels_of_targets_and_test_change_nothing_that_is_chosen(
    objective: Objective, tmp_path: Path
) -> None:
    """Every proposal, cut, score, arm and the recommendation are bit-equal; the oracle is not."""
    pivots = OBJECTIVES[objective].get("pivot", ())
    as_it_is, seen = chosen(corpus(tmp_path / "right", False, pivots), objective)
    turned, seen_turned = chosen(corpus(tmp_path / "turned", True, pivots), objective)
    assert turned == as_it_is
    assert [1 - share for share in seen_turned] == pytest.approx(seen), "the corpus was turned"
    assert any(abs(share - 0.5) > 0.02 for share in seen)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"languages": {"source": ["en", "es"], "target": ["es"]}}, "es cannot be"),
        ({"protocol": {"kind": "zero_shot", "pivot": ["es"]}}, "protocol.pivot"),
        ({"protocol": {"kind": "zero_shot", "objective": "targets"}}, "protocol.objective"),
        ({"protocol": {"select": ["es"]}}, "protocol.select: unknown key"),
        ({"protocol": {"objective": "held_out", "held_out": "es"}}, "must be a source language"),
    ],
    ids=["target trained on", "pivot undeclared", "objective", "other key", "held out target"],
)
def test_what_would_leak_is_refused(blocks: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        validate_study(settings(tmp_path, **blocks), "the YAML")
