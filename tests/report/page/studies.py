"""Studies by hand, for their pages: a search, and a confirmation whose answers are planted."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tuner.journal.arrays import bits_as_text, ints_as_text
from tuner.journal.records import (
    Evaluation,
    NoiseRecord,
    OnTest,
    Recommendation,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from tuner.study import StudyConfig
from tuner.study.criteria import EvaluationSet
from tuner.study.file import validate_study
from tuner.study.protocol import EvaluationProtocol
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

CLAIM = "zero-shot for es, ja; trained on en, de (machine-translated: yes)"
HOSTILE = "<script>alert('x')</script> | **not bold** $x_1$ <b>"
"""A description that means something in HTML, in Markdown and in TeX."""
RUNGS = (400, 800, 1600)
PAIRS = 60
"""Dev and test pairs of every language; each two of them share a sentence."""
SPACE: dict[str, Any] = {
    "mix.cross_lingual": [0.0, 0.5, 1.0],
    "batch.effective_size": {"type": "power_of_two", "low": 8, "high": 64},
    "optim.lr": {"type": "float", "low": 1e-4, "high": 1e-3, "log": True},
    "fusion.kind": ["last", "dlfa"],
    "fusion.layer": {"type": "int", "low": 0, "high": 3, "when": {"fusion.kind": ["dlfa"]}},
}
BASELINE = {"mix.cross_lingual": 0, "batch.effective_size": 32, "fusion.kind": "last"}
SETTINGS: dict[str, Any] = {
    "name": "planted",
    "description": HOSTILE,
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
    "budget": {"pairs_per_trial": RUNGS[-1]},
}
SPEED: dict[str, Any] = {
    "train_loss": 0.5,
    "pairs_per_second": 100.0,
    "train_seconds": 16.0,
    "evaluation_seconds": 1.0,
    "peak_memory_mb": 512.0,
    "micro_plan": ((0, 32), (40, 16)),
    "precision": "fp32",
}


MEAN = {"objective": "mean"}


def settings_of(folder: Path, **changes: Any) -> StudyConfig:
    return validate_study({**SETTINGS, "storage": str(folder), **changes}, "the test")


def evaluation(rung: int, objective: float, **more: Any) -> Evaluation:
    scores = {"en": Scores(accuracy=objective, f1=objective, pairs=PAIRS)}
    found = {"rung": rung, "pairs_seen": rung, "step": rung // 32, "objective": objective}
    return Evaluation(time=1000.0 + rung, select=scores, **found, **SPEED, **more)


def search(folder: Path, trials: int = 24, space: Mapping[str, Any] = SPACE) -> StudyRecord:
    """The control and sampled trials, every third of which ASHA stopped; scores follow the rate."""
    study = settings_of(
        folder,
        budget={"trials": trials, "pairs_per_trial": RUNGS[-1]},
        scheduler={"kind": "asha", "min_pairs": RUNGS[0], "reduction_factor": 2},
        space=dict(space),
        baseline=BASELINE,
    )
    draw, made = random.Random(0), []
    for number in range(trials):
        layers = {"fusion.kind": "dlfa", "fusion.layer": number % 4}
        params = {
            "mix.cross_lingual": draw.choice((0.0, 0.5, 1.0)),
            "batch.effective_size": draw.choice((8, 16, 32, 64)),
            "optim.lr": 1e-4 * 10 ** draw.random(),
            **(layers if number % 5 == 2 else {"fusion.kind": "last"}),
        }
        params = BASELINE if number == 0 else params
        config = TrialConfig.from_flat(params)
        stopped: TrialState = "pruned" if number % 3 == 1 else "completed"
        state: TrialState = "failed" if number == 5 else stopped
        score = 0.6 + 300 * config.optim.lr
        reached = RUNGS[: 0 if state == "failed" else number % 2 + 1 if state == "pruned" else 3]
        made.append(
            TrialRecord(
                number=number,
                origin="sampler" if number else "baseline",
                params=params,
                config=config,
                budget=RUNGS[-1],
                state=state,
                attempts=1,
                started=1000.0,
                ended=1020.0,
                evaluations=tuple(
                    evaluation(r, score - 0.05 + r / 32_000, **_criteria(r, config))
                    for r in reached
                ),
                pairs_seen=reached[-1] if reached else 100,
                seconds=20.0,
            )
        )
    return _record(study, trials=tuple(made), rungs=RUNGS)


def _criteria(rung: int, config: TrialConfig) -> dict[str, Any]:
    """At the full budget: `mean` against the objective, `cross_lingual` as the objective."""
    if rung < RUNGS[-1]:
        return {}
    opposed, score = 0.9 - 200 * config.optim.lr, 0.6 + 300 * config.optim.lr
    return {"criteria": {"mean": opposed, "balanced": score, "cross_lingual": score - 0.01}}


def probed(study: StudyRecord) -> StudyRecord:
    """The same, with the gradient's noise at the first rung of its first two trials."""

    def noisy(trial: TrialRecord, within: float) -> TrialRecord:
        found = NoiseRecord(
            within=within,
            between=-0.5 if within < 2 else 1.5,
            mean_gradient_squared=0.25,
            groups=2,
            small=8,
            large=64,
            pairs=128,
        )
        first, *others = trial.evaluations
        first = first.model_copy(update={"noise": {"monolingual": found}})
        return trial.model_copy(update={"evaluations": (first, *others)})

    first, second, *others = study.trials
    trials = (noisy(first, 1.0), noisy(second, 3.0), *others)
    return study.model_copy(update={"trials": trials})


def confirmation(
    folder: Path,
    truth: Mapping[str, float],
    search_id: str = "the search",
    name: str = "planted-confirm",
    **changes: Any,
) -> StudyRecord:
    """A confirmation whose arms get these shares of the pairs of every set right.

    Args:
        folder: of the studies.
        truth: by arm; the first is recommended where it is the highest.
        search_id: what it confirms.
        name: of the study.
        changes: of its settings.
    """
    seeds = (1000, 1001, 1002)
    arms = [{"name": arm, "settings": {"optim.lr": 1e-3}, "search_score": 0.9} for arm in truth]
    arms[0]["search_score"] = None
    design = {"kind": "confirm", "study": search_id, "arms": arms, "seeds": list(seeds)}
    study = settings_of(
        folder, name=name, scheduler={"kind": "none"}, design=design, protocol=MEAN, **changes
    )
    protocol = EvaluationProtocol.of(study.languages, study.protocol, machine_translated=True)
    draw = np.random.default_rng(0)
    languages = [*study.languages.source, *study.languages.target]
    sets = [EvaluationSet(one, other).name for one in languages for other in languages]
    trials = []
    for seed in seeds:
        for arm, share in truth.items():
            answers = {at: draw.random(PAIRS) < share for at in sets}
            scores = {at: _scores(right) for at, right in answers.items()}
            scores |= protocol.averages(scores)
            texts = {at: bits_as_text(right) for at, right in answers.items()}
            sources = study.languages.source
            objective = float(np.mean([scores[at].accuracy for at in sources]))
            last = evaluation(RUNGS[-1], objective).model_copy(
                update={
                    "select": {at: scores[at] for at in sources},
                    "answers": {at: texts[at] for at in sources},
                }
            )
            tested = OnTest(
                time=3000.0,
                scores=scores,
                majority={at: 0.5 for at in sets},
                answers=texts,
                seconds=1.0,
            )
            trials.append(
                TrialRecord(
                    number=len(trials),
                    origin="design",
                    arm=arm,
                    params={"optim.lr": 1e-3, "seed": seed},
                    config=TrialConfig.from_flat({"optim.lr": 1e-3, "seed": seed}),
                    budget=RUNGS[-1],
                    state="completed",
                    attempts=1,
                    started=1000.0,
                    ended=1020.0,
                    evaluations=(last,),
                    pairs_seen=RUNGS[-1],
                    tests=(tested,),
                )
            )
    means = {
        arm: float(np.mean([t.last.objective for t in trials if t.arm == arm and t.last]))
        for arm in truth
    }
    best = max(means, key=lambda arm: means[arm])
    fixed = Recommendation(time=2000.0, arm=best, objective=means)
    return _record(study, trials=tuple(trials), rungs=(RUNGS[-1],), recommendation=fixed)


def _scores(right: np.ndarray) -> Scores:
    return Scores(accuracy=float(right.mean()), f1=0.5, pairs=len(right))


def _record(study: StudyConfig, **more: Any) -> StudyRecord:
    languages = [*study.languages.source, *study.languages.target]
    rows = {
        "components": ints_as_text(np.arange(PAIRS) // 2),
        "clean": {at: bits_as_text(np.ones(PAIRS, dtype=bool)) for at in languages},
    }
    counts = {
        split: {"ids": PAIRS, "shared": {}, "components": PAIRS // 2, "effective_ids": PAIRS / 2}
        for split in ("dev", "test")
    }
    return StudyRecord(
        name=study.name,
        id=f"id of {study.name}",
        created=1000.0,
        settings=study.model_dump(mode="json"),
        facts={
            "claim": CLAIM,
            "objective": "mean dev accuracy on en, de",
            "majority_accuracy": 0.5,
            "data": {
                "source": "nano",
                "checksum": "0123456789abcdef",
                "languages": languages,
                "counts": {split: dict.fromkeys(languages, PAIRS) for split in counts},
                "machine_translated": True,
                "notes": ["dev: <i>60</i> pairs"],
            },
            "encoder": {"name": "nano", "checksum": "fedcba", "layers": 4, "seen": []},
            "overlap": {"counts": counts, "rows": dict.fromkeys(counts, rows)},
            "environment": {"tuner": "0.1.0", "commit": "0ddba11"},
        },
        state="completed",
        seconds=100.0,
        **more,
    )
