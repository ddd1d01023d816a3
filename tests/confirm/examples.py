"""Made-up confirmations: which pairs each trial gets right is written down, the rest follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner.journal.arrays import bits_as_text, ints_as_text
from tuner.journal.records import (
    Evaluation,
    OnTest,
    Recommendation,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig

PAIRS = 8
"""Pairs of every split and language, in four components of two."""
COMPONENTS = np.repeat(np.arange(PAIRS // 2), 2)
LANGUAGES = ("en", "de", "es", "ja")
Right = Mapping[str, int | Sequence[int]]
"""By language or pair of languages, 1 for what was right; or how many were, the first ones."""


def bits(right: int | Sequence[int]) -> np.ndarray:
    if isinstance(right, int):
        return np.arange(PAIRS) < right
    return np.array(right, dtype=bool)


def scores(right: int | Sequence[int]) -> Scores:
    return Scores(accuracy=float(bits(right).mean()), f1=0.5, pairs=PAIRS)


def evaluated(dev: Mapping[str, int | Sequence[int]], worst: bool = False) -> Evaluation:
    """At full budget; `dev` has the permitted sets en and de, and may have others."""
    named = {name: scores(right) for name, right in dev.items()}
    own = [named[name].accuracy for name in ("en", "de")]
    return Evaluation(
        time=100.0,
        rung=800,
        pairs_seen=800,
        step=25,
        objective=min(own) if worst else sum(own) / 2,
        select={name: named[name] for name in ("en", "de")},
        oracle={name: score for name, score in named.items() if name not in ("en", "de")},
        train_loss=0.5,
        pairs_per_second=100.0,
        train_seconds=8.0,
        evaluation_seconds=1.0,
        peak_memory_mb=10.0,
        micro_plan=((0, 32),),
        precision="fp32",
        answers={name: bits_as_text(bits(right)) for name, right in dev.items()},
    )


def on_test(right: Mapping[str, int | Sequence[int]]) -> OnTest:
    """Scores of what is named, and the means over sources and targets."""
    named = {name: scores(answers) for name, answers in right.items()}
    means = {"sources": ("en", "de"), "targets": ("es", "ja")}
    for mean, languages in means.items():
        accuracy = sum(named[language].accuracy for language in languages) / 2
        named[mean] = Scores(accuracy=accuracy, f1=0.5, pairs=2 * PAIRS)
    return OnTest(
        time=300.0,
        scores=named,
        answers={name: bits_as_text(bits(answers)) for name, answers in right.items()},
        majority=dict.fromkeys(LANGUAGES, 0.5),
        seconds=1.0,
    )


def trial(
    number: int,
    arm: str,
    seed: int,
    evaluation: Evaluation | None,
    tests: Sequence[OnTest] = (),
    state: TrialState = "completed",
    **params: Any,
) -> TrialRecord:
    return TrialRecord(
        number=number,
        origin="design" if arm else ("baseline" if number == 0 else "sampler"),
        arm=arm,
        params=params,
        config=TrialConfig.from_flat({"seed": seed, **params}),
        budget=800,
        state=state,
        attempts=1,
        started=10.0,
        ended=100.0,
        evaluations=() if evaluation is None else (evaluation,),
        tests=tuple(tests),
    )


def facts() -> dict[str, Any]:
    rows = {
        "components": ints_as_text(COMPONENTS),
        "clean": {language: bits_as_text(np.ones(PAIRS, bool)) for language in LANGUAGES},
    }
    return {
        "claim": "zero-shot for es, ja; trained on en, de (machine-translated: yes)",
        "objective": "mean dev accuracy on en, de",
        "majority_accuracy": 0.5,
        "data": {
            "source": "nano",
            "checksum": "c" * 64,
            "languages": list(LANGUAGES),
            "counts": {
                "train": {"en": 640, "de": 640},
                "dev": dict.fromkeys(LANGUAGES, PAIRS),
                "test": dict.fromkeys(LANGUAGES, PAIRS),
            },
            "training_pairs": 640,
            "machine_translated": True,
        },
        "encoder": {"name": "nano", "checksum": "e" * 64, "layers": 4, "seen": []},
        "overlap": {
            "rows": {"dev": rows, "test": rows},
            "counts": {"test": {"components": 4, "effective_ids": 4.0}},
        },
    }


def settings(name: str, **blocks: Any) -> dict[str, Any]:
    """Return the settings as StudyConfig writes them."""
    from tuner.study.file import validate_study

    plain = {
        "name": name,
        "data": {"source": "nano"},
        "encoder": {"name": "nano", "max_length": 32},
        "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
        "protocol": {"objective": "mean"},
        "scheduler": {"kind": "none"},
        "budget": {"pairs_per_trial": 800},
        **blocks,
    }
    return validate_study(plain, "the example").model_dump(mode="json")


def study(
    name: str, plain: dict[str, Any], trials: Sequence[TrialRecord], **changes: Any
) -> StudyRecord:
    made: dict[str, Any] = {
        "name": name,
        "id": f"id of {name}",
        "created": 1.0,
        "settings": plain,
        "facts": facts(),
        "rungs": (800,),
        "state": "completed",
        "trials": tuple(trials),
        **changes,
    }
    return StudyRecord(**made)


def confirmed(
    arms: Mapping[str, Sequence[tuple[Right, Right] | None]],
    recommended: str,
    search_scores: Mapping[str, float] | None = None,
    worst: bool = False,
    estimating: Mapping[str, Sequence[tuple[Right, Right] | None]] | None = None,
    **design: Any,
) -> StudyRecord:
    """A confirmation that has come to its end.

    Args:
        arms: by name, for each seed what was right on dev and on test; None: it failed.
        recommended: name of an arm.
        search_scores: of arms that a search had scored.
        worst: the objective is the worst of the languages.
        estimating: the same as `arms`, of the arms and the seeds that estimate.
        design: other keys of the block.
    """
    count = len(next(iter(arms.values())))
    block = {
        "kind": "confirm",
        "study": "id of the search",
        "arms": [
            {"name": n, "settings": {}, "search_score": (search_scores or {}).get(n)} for n in arms
        ],
        "seeds": [1000 + k for k in range(count)],
        **design,
    }
    runs = [(name, 1000 + k, arms[name][k]) for k in range(count) for name in arms]
    for k in range(count, count + max(map(len, (estimating or {}).values()), default=0)):
        block.setdefault("estimating", []).append(1000 + k)  # type: ignore[attr-defined]
        runs += [(name, 1000 + k, own[k - count]) for name, own in (estimating or {}).items()]
    trials = []
    for number, (name, seed, one) in enumerate(runs):
        if one is None:
            trials.append(trial(number, name, seed, None, state="failed"))
            continue
        dev, test = one
        own = [on_test(test)] if test else []
        trials.append(trial(number, name, seed, evaluated(dev, worst), own))
    protocol = {"objective": "worst" if worst else "mean"}
    means = {
        name: float(
            np.mean(
                [t.last.objective for t in trials[: count * len(arms)] if t.arm == name and t.last]
            )
        )
        for name, seeds in arms.items()
        if None not in seeds
    }
    return study(
        "small-confirm",
        settings("small-confirm", design=block, protocol=protocol),
        trials,
        recommendation=Recommendation(time=200.0, arm=recommended, objective=means),
    )
