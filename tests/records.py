"""Complete facts and settings of made-up studies, in which a test gives what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.journal.facts import StudyFacts
from tuner.journal.records import StudyRecord
from tuner.study.settings import StudySettings

FACTS: dict[str, Any] = {
    "claim": "zero-shot",
    "objective": "dev accuracy",
    "majority_accuracy": 0.5,
    "data": {
        "source": "nano",
        "checksum": "d" * 64,
        "languages": ["en", "de", "es", "ja"],
        "counts": {},
        "machine_translated": False,
    },
    "encoder": {"name": "nano", "checksum": "e" * 64, "layers": 4},
}
SETTINGS: dict[str, Any] = {
    "name": "small",
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"], "target": ["es", "ja"]},
    "budget": {"trials": 9, "pairs_per_trial": 900},
}
SCALING: dict[str, Any] = {
    "kind": "scaling",
    "seeds": [0, 1],
    "tuning": {"lr": [1e-5, 1e-4, 1e-3], "seeds": [9]},
}


def facts(**blocks: Any) -> StudyFacts:
    """Facts of a study of nano; of a block, the given facts are replaced."""
    return StudyFacts.model_validate(_with(FACTS, blocks))


def settings(**blocks: Any) -> StudySettings:
    """Settings of a study of nano; given blocks are replaced whole."""
    return StudySettings.model_validate(SETTINGS | blocks)


def with_facts(study: StudyRecord, **blocks: Any) -> StudyRecord:
    """The study with other facts; of a block, the given facts are replaced."""
    plain = _with(study.facts.model_dump(mode="json"), blocks)
    return study.model_copy(update={"facts": StudyFacts.model_validate(plain)})


def with_settings(study: StudyRecord, **blocks: Any) -> StudyRecord:
    """The study with other settings; given blocks are replaced whole."""
    plain = study.settings.model_dump(mode="json") | blocks
    return study.model_copy(update={"settings": StudySettings.model_validate(plain)})


def _with(plain: Mapping[str, Any], blocks: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(plain)
    for name, value in blocks.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found
