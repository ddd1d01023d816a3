"""Hand-made studies: no training, no Ray."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.records import facts, settings
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

RUNGS = (1600, 4800, 9600)
MakeTrial = Callable[..., TrialRecord]


@pytest.fixture
def trial() -> MakeTrial:
    """`trial(number, state, *scores, settings...)`: started at 100 s a number, 60 s a rung."""

    def make(number: int, state: Any, *scores: float, **settings: Any) -> TrialRecord:
        params = {"optim.lr": 1e-4 * (number + 1), "mix.cross_lingual": 0.25, **settings}
        started = None if state == "pending" else 100.0 * number
        evaluations = tuple(
            Evaluation(
                time=100.0 * number + 60 * k,
                rung=rung,
                pairs_seen=rung,
                step=rung // 32,
                objective=score,
                select={"en": Scores(accuracy=score, f1=score, pairs=5)},
                train_loss=0.1,
                pairs_per_second=1000,
                train_seconds=1,
                evaluation_seconds=1,
                peak_memory_mb=1,
                micro_plan=((0, 32),),
                precision="fp32",
            )
            for k, (rung, score) in enumerate(zip(RUNGS, scores, strict=False), start=1)
        )
        over = state in ("completed", "pruned", "failed")
        return TrialRecord(
            number=number,
            origin="sampler",
            params=params,
            config=TrialConfig.from_flat(params),
            budget=RUNGS[-1],
            state=state,
            reason="",
            attempts=0 if state == "pending" else 1,
            started=started,
            ended=100.0 * number + 60.0 * len(scores) if over else None,
            evaluations=evaluations,
            pairs_seen=RUNGS[len(scores) - 1] if scores else 0,
        )

    return make


@pytest.fixture
def study(trial: MakeTrial) -> StudyRecord:
    """Two trials at full budget, two stopped by ASHA, one failed, two running."""
    return StudyRecord(
        name="nano",
        id="x",
        created=0,
        settings=settings(
            name="nano",
            space={
                "mix.cross_lingual": 0.5,
                "optim.lr": 1e-4,
                "fusion.kind": "dlfa",
                "fusion.layer": 2,
            },
            budget={"trials": 24, "pairs_per_trial": RUNGS[-1]},
        ),
        facts=facts(
            claim="zero-shot for es, zh, ja, ko; trained on en, de, fr (machine-translated: yes)",
            objective="mean dev accuracy on en, de, fr",
        ),
        rungs=RUNGS,
        trials=(
            trial(0, "completed", 0.7, 0.8, 0.91),
            trial(1, "pruned", 0.6),
            trial(2, "failed"),
            trial(3, "pruned", 0.82, 0.83),
            trial(4, "completed", 0.8, 0.9, 0.9327, **{"fusion.kind": "dlfa", "fusion.layer": 2}),
            trial(5, "running", 0.75),
            trial(6, "running"),
        ),
    )
