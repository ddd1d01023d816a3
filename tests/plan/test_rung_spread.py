"""The spread of an earlier search's scores, beside chance: can a first rung tell them apart?"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from tests.report.page.studies import PAIRS, RUNGS, evaluation, search, settings_of
from tuner.journal.records import StudyRecord
from tuner.plan.content import content
from tuner.plan.plan import StudyPlan, make_plan
from tuner.plan.rung_spread import RungSpread, nearest, rung_spreads
from tuner.study import StudyConfig

Scored = Callable[[int, int], float]


def scored(study: StudyRecord, score: Scored, name: str = "earlier") -> StudyRecord:
    """The search with other scores: a function of the trial's number and of the rung."""
    trials = tuple(
        trial.model_copy(
            update={
                "evaluations": tuple(
                    evaluation(each.rung, score(trial.number, each.rung))
                    for each in trial.evaluations
                )
            }
        )
        for trial in study.trials
    )
    return study.model_copy(update={"name": name, "trials": trials})


@pytest.fixture
def earlier(tmp_path: Path) -> StudyRecord:
    return search(tmp_path)


def asked(folder: Path, **changes: Any) -> StudyConfig:
    scheduler = {"kind": "asha", "min_pairs": RUNGS[0], "reduction_factor": 2}
    space = {"optim.lr": {"type": "float", "low": 1e-4, "high": 1e-3}}
    budget = {"trials": 24, "pairs_per_trial": RUNGS[-1]}
    given = {"scheduler": scheduler, "space": space, "budget": budget, **changes}
    return settings_of(folder, **given)


def test_it_is_the_deviation_beside_the_error_of_one_score(
    earlier: StudyRecord, tmp_path: Path
) -> None:
    values = {n: 0.5 + n / 100 for n in range(24)}
    spreads = rung_spreads(asked(tmp_path), [scored(earlier, lambda n, _: values[n])])
    assert [each.rung for each in spreads] == list(RUNGS)
    first = spreads[0]
    at = [values[trial.number] for trial in earlier.trials if trial.evaluations]
    mean = sum(at) / len(at)
    assert first.scores == len(at) and first.spread == pytest.approx(stdev(at))
    assert first.noise == pytest.approx((mean * (1 - mean) / PAIRS) ** 0.5)


@pytest.mark.parametrize(
    "other",
    [
        {"languages": {"source": ["en"], "target": ["es", "ja"]}},
        {"budget": {"trials": 24, "pairs_per_trial": 3200}},
        {"encoder": {"name": "nano", "max_length": 16}},
    ],
)
def test_another_question_says_nothing(
    other: dict[str, Any], earlier: StudyRecord, tmp_path: Path
) -> None:
    assert rung_spreads(asked(tmp_path), [earlier])
    assert not rung_spreads(asked(tmp_path, **other), [earlier])


def test_the_newest_counts_and_few_scores_do_not(earlier: StudyRecord, tmp_path: Path) -> None:
    newer = scored(earlier, lambda n, _: 0.5 + n / 1000, "newer")
    newer = newer.model_copy(update={"created": earlier.created + 1})
    assert {each.study for each in rung_spreads(asked(tmp_path), [newer, earlier])} == {"newer"}
    few = newer.model_copy(update={"trials": newer.trials[:7]})
    assert not rung_spreads(asked(tmp_path), [few])


def test_a_rung_stands_for_one_that_is_near() -> None:
    spreads = [RungSpread(study="s", rung=r, scores=9, spread=0.1, noise=0.1) for r in (100, 900)]
    found = [nearest(spreads, rung) for rung in (40, 60, 190, 500, 900)]
    assert [each and each.rung for each in found] == [None, 100, 100, 900, 900]


def planned(study: StudyConfig, earlier: StudyRecord) -> StudyPlan:
    plan = make_plan(study, None, None)
    return plan.model_copy(update={"spreads": rung_spreads(study, [earlier])})


def test_a_plan_warns_of_chance_and_names_the_rung_that_does_better(
    earlier: StudyRecord, tmp_path: Path
) -> None:
    """At the first rung scores differ as chance has it, later they differ by what trials are."""
    chance = random.Random(0)

    def score(number: int, rung: int) -> float:
        own = 0.4 if rung > RUNGS[0] and number % 2 else 0.0
        return 0.5 + own + chance.gauss(0, 0.02)

    study = asked(tmp_path)
    told = str(content(planned(study, scored(earlier, score)), study))
    assert f"--set scheduler.min_pairs={RUNGS[1]}" in told
    clear = planned(study, scored(earlier, lambda n, _: 0.1 + n / 30))
    told = str(content(clear, study))
    assert "min_pairs" not in told.replace("scheduler.min_pairs and", "") and "scores there" in told
