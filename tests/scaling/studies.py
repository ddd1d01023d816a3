"""Scaling studies by hand: planned by the real design, their answers planted, nothing trained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from tests.examples import objective_of
from tests.records import facts
from tuner.journal.arrays import bits_as_text, ints_as_text
from tuner.journal.records import Evaluation, Failure, FailureKind, StudyRecord, TrialRecord
from tuner.search.designed import Designed
from tuner.search.proposer import Proposal
from tuner.study import StudyConfig
from tuner.study.file import validate_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

PAIRS = 200
"""Dev pairs of every language; each two of them share a sentence."""
Truth = Callable[[TrialConfig, str], float]
"""The share of dev pairs of a language that a configuration gets right."""

SETTINGS: dict[str, Any] = {
    "name": "planted",
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
    "protocol": {"objective": "mean"},
    "budget": {"pairs_per_trial": 640},
    "scheduler": {"kind": "none"},
    "space": {
        "batch.effective_size": [16, 32, 64],
        "mix.cross_lingual": [0.0, 0.5, 1.0],
        "fusion.kind": ["last", "dlfa"],
        "fusion.layer": {"type": "int", "low": 2, "high": 2, "when": {"fusion.kind": ["dlfa"]}},
        "mix.granularity": ["language", "pair"],
    },
    "design": {
        "kind": "scaling",
        "seeds": [1, 2, 3],
        "tuning": {"lr": [1e-4, 1e-3, 1e-2], "seeds": [8, 9], "at": {"mix.cross_lingual": 0.5}},
    },
}


def planned(folder: Path, **changes: Any) -> StudyConfig:
    """A study of 18 tuning trials and 108 compared ones, with other settings by dotted name."""
    settings: dict[str, Any] = {**SETTINGS, "storage": str(folder)}
    for name, value in changes.items():
        block = settings
        *path, last = name.split("__")
        for part in path:
            block[part] = dict(block[part])
            block = block[part]
        block[last] = value
    return validate_study(settings, "the test")


def best_at(lr: float) -> Truth:
    """Right as often everywhere, most often with one learning rate."""
    return lambda config, _: 0.8 if config.optim.lr == lr else 0.7


def recorded(
    study: StudyConfig,
    truth: Truth,
    fails: Collection[int] = (),
    stop_at: int | None = None,
    why: FailureKind = "error",
) -> StudyRecord:
    """The record of a study run to its end, or to a number of trials.

    Args:
        study: a design.
        truth: what its trials score; which pairs are right differs from seed to seed.
        fails: numbers of trials that fail.
        stop_at: how many trials there are.
        why: they fail.
    """
    protocol = EvaluationProtocol.of(study.languages, study.protocol, machine_translated=True)
    trials: dict[int, TrialRecord] = {}
    proposer = Designed(study)
    while len(trials) != stop_at:
        number = len(trials)
        proposal = proposer.propose(number, trials)
        if not isinstance(proposal, Proposal):
            break
        failed = number in fails
        trials[number] = TrialRecord(
            number=number,
            origin=proposal.origin,
            arm=proposal.arm,
            params=proposal.params,
            config=proposal.config,
            budget=study.rungs_of(proposal.config)[-1],
            state="failed" if failed else "completed",
            failures=(Failure(time=0.0, kind=why, reason="it broke"),) if failed else (),
            evaluations=() if failed else (_evaluation(study, proposal.config, protocol, truth),),
        )
    rows = {
        "components": ints_as_text(np.arange(PAIRS) // 2),
        "clean": {
            language: bits_as_text(np.ones(PAIRS, dtype=bool))
            for language in (*study.languages.source, *study.languages.target)
        },
    }
    return StudyRecord(
        name=study.name,
        id="abc",
        created=0.0,
        settings=study.model_dump(mode="json"),
        facts=facts(
            claim=protocol.claim,
            objective=protocol.objective.in_words,
            data={"machine_translated": True},
            overlap={"rows": {"dev": rows}},
        ),
        rungs=study.rungs,
        state="completed",
        trials=tuple(trials.values()),
    )


def _evaluation(
    study: StudyConfig, config: TrialConfig, protocol: EvaluationProtocol, truth: Truth
) -> Evaluation:
    answers, accuracy = {}, {}
    for each in (*protocol.select, *protocol.oracle):
        right = np.zeros(PAIRS, dtype=bool)
        order = np.random.default_rng(config.seed).permutation(PAIRS)
        right[order[: round(PAIRS * truth(config, each.name))]] = True
        answers[each.name] = bits_as_text(right)
        accuracy[each.name] = Scores(accuracy=right.mean(), f1=right.mean(), pairs=PAIRS)
    select = {each.name: accuracy[each.name] for each in protocol.select}
    select |= protocol.averages(select)
    oracle = {each.name: accuracy[each.name] for each in protocol.oracle}
    means = protocol.averages(select | oracle)
    oracle |= {name: score for name, score in means.items() if name not in select}
    rung = study.rungs_of(config)[-1]
    return Evaluation(
        time=0.0,
        rung=rung,
        pairs_seen=rung,
        step=rung // config.batch.effective_size,
        objective=objective_of(protocol, select),
        select=select,
        oracle=oracle,
        answers=answers,
        train_loss=0.5,
        pairs_per_second=1.0,
        train_seconds=1.0,
        evaluation_seconds=0.1,
        peak_memory_mb=1.0,
        micro_plan=((0, 8),),
        precision="fp32",
    )
