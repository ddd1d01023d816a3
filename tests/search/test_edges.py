"""Best values at an end of a range are told, with the option that widens it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import facts, settings
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.search.edges import edges
from tuner.study.file import override
from tuner.study.scores import Scores
from tuner.study.settings import StudySettings
from tuner.study.trial import TrialConfig

SPACE: dict[str, Any] = {
    "optim.lr": {"type": "float", "low": 1e-5, "high": 1e-3, "log": True},
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
    "mix.cross_lingual": {"type": "float", "low": 0, "high": 0.5, "step": 0.25},
    "fusion.kind": ["last", "dlfa"],
    "fusion.layer": {"type": "int", "low": 1, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
    "seed": {"type": "int", "low": 0, "high": 9},
}


def trial(number: int, score: float, **flat: Any) -> TrialRecord:
    named = {name.replace("__", "."): value for name, value in flat.items()}
    middle = {"optim.lr": 1e-4, "batch.effective_size": 16, "mix.cross_lingual": 0.25}
    scores = Scores(accuracy=score, f1=score, pairs=10)
    last = Evaluation(
        time=1.0,
        rung=900,
        pairs_seen=900,
        step=9,
        objective=score,
        select={"en": scores},
        train_loss=0.5,
        pairs_per_second=1.0,
        train_seconds=1.0,
        evaluation_seconds=0.1,
        peak_memory_mb=1.0,
        micro_plan=((0, 8),),
        precision="fp32",
    )
    return TrialRecord(
        number=number,
        origin="sampler",
        params={},
        config=TrialConfig.from_flat({**middle, **named}),
        budget=900,
        state="completed",
        evaluations=(last,),
    )


def found(*trials: TrialRecord, space: dict[str, Any] = SPACE) -> list[tuple[str, str, bool]]:
    record = StudyRecord(
        name="small",
        id="a",
        created=1.0,
        settings=settings(space=space),
        facts=facts(),
        rungs=(100, 300, 900),
        trials=trials,
    )
    for edge in edges(record):
        plain = record.settings.model_dump(mode="json")
        override(plain, edge.option.removeprefix("--set "))
        wider = StudySettings.model_validate(plain).space.root[edge.name]
        assert wider != record.settings.space.root[edge.name], "the option is accepted and widens"
        assert edge.name in edge.sentence
    return [(edge.name, edge.end, edge.best) for edge in edges(record)]


def test_nothing_is_told_of_what_lies_inside() -> None:
    assert found() == []
    assert found(*(trial(n, 0.5 + n / 100) for n in range(12))) == []


@pytest.mark.parametrize(
    ("setting", "end"),
    [
        ({"batch__effective_size": 8}, "low"),
        ({"batch__effective_size": 64}, "high"),
        ({"optim__lr": 1.1e-5}, "low"),
        ({"optim__lr": 9e-4}, "high"),
        ({"mix__cross_lingual": 0.5}, "high"),
    ],
)
def test_the_best_at_an_end(setting: dict[str, Any], end: str) -> None:
    (name,) = setting
    best = trial(9, 0.9, **setting)
    others = [trial(n, 0.5 + n / 100) for n in range(8)]
    assert found(best, *others) == [(name.replace("__", "."), end, True)]


def test_most_of_the_top_third_at_an_end() -> None:
    inside = [trial(n, 0.5 + n / 100) for n in range(8)]
    top = [trial(10 + n, 0.8 - n / 100, optim__lr=1e-3) for n in range(3)]
    assert found(trial(9, 0.9), *top, *inside) == [("optim.lr", "high", False)]
    assert found(trial(9, 0.9), *top[:1], *inside) == []


def test_ends_that_nothing_lies_beyond_are_none() -> None:
    """No share is below 0, no layer above the encoder's last, and a seed has no best value."""
    best = trial(9, 0.9, mix__cross_lingual=0.0, seed=0, fusion__kind="dlfa", fusion__layer=3)
    assert found(best) == []
    lowest = trial(9, 0.9, fusion__kind="dlfa", fusion__layer=1)
    assert found(lowest) == [("fusion.layer", "low", True)]
    one = {**SPACE, "batch.effective_size": {"type": "power_of_two", "low": 1, "high": 64}}
    assert found(trial(9, 0.9, batch__effective_size=1), space=one) == []
