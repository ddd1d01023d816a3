"""Facts of a study: written as they were read, whichever version wrote them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.records import FACTS
from tuner.journal.facts import StudyFacts

WRITTEN: dict[str, Any] = {
    "claim": "zero-shot for ja; trained on en (machine-translated: unknown)",
    "objective": "mean dev accuracy on en",
    "majority_accuracy": 0.5571428571428572,
    "data": {
        "source": "files",
        "checksum": "c" * 64,
        "splits": {"train": "a" * 64, "dev": "b" * 64},
        "languages": ["en", "ja"],
        "labels": ["0", "1"],
        "counts": {"train": {"en": 640}, "dev": {"en": 70, "ja": 60}},
        "training_pairs": 640,
        "machine_translated": None,
        "truncated": {"train": {"en": 3}, "dev": {"en": 0, "ja": 0}},
        "notes": ["pairs truncated to 8 tokens: train: en 3 of 640"],
    },
    "overlap": {
        "counts": {
            "train": {"ids": 640, "shared": {"dev": 0}},
            "dev": {"ids": 70, "shared": {"train": 0}, "components": 35, "effective_ids": 35.0},
        },
        "rows": {"dev": {"components": "AAA=", "clean": {"en": "/w==", "ja": "Dw=="}}},
    },
    "encoder": {
        "name": "nano",
        "revision": None,
        "checksum": "e" * 64,
        "layers": 4,
        "hidden_size": 64,
        "pooler": True,
        "seen": [],
    },
    "environment": {
        "tuner": "0.1.0",
        "commit": "0ddba11+",
        "python": "3.11.9",
        "platform": "Linux-6.1",
        "ray": "2.49.0",
        "torch": "2.8.0",
    },
}
"""Facts as the versions before `StudyFacts` wrote them, byte for byte."""


def test_the_format_on_the_disk_stays() -> None:
    facts = StudyFacts.model_validate(WRITTEN)
    assert json.dumps(facts.model_dump(mode="json")) == json.dumps(WRITTEN)
    assert StudyFacts.model_validate_json(facts.model_dump_json()) == facts
    assert list(facts.environment.versions) == list(WRITTEN["environment"])
    assert facts.environment.versions["torch"] == "2.8.0"


def test_what_an_earlier_version_did_not_record_is_none_or_empty() -> None:
    """And it is not written either, where its records are copied."""
    facts = StudyFacts.model_validate(FACTS)
    assert facts.model_dump(mode="json") == FACTS
    assert facts.data.splits == {} and facts.data.training_pairs is None
    assert facts.overlap.rows == facts.overlap.counts == {}
    assert facts.encoder.seen == () and facts.encoder.revision is None
    assert facts.environment.commit is None and facts.environment.versions == {}


def test_what_a_later_version_records_is_kept() -> None:
    later = {**WRITTEN, "task": {"kind": "pairs"}, "data": {**WRITTEN["data"], "licence": "CC0"}}
    assert StudyFacts.model_validate(later).model_dump(mode="json") == later


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"claim": 3}, ("claim",)),
        ({"majority_accuracy": 1.5}, ("majority_accuracy",)),
        ({"data": {}}, ("data", "source")),
        ({"encoder": {**WRITTEN["encoder"], "layers": -1}}, ("encoder", "layers")),
        ({"environment": {"ray": 2}}, ("environment", "ray")),
    ],
)
def test_a_damaged_fact_is_named(change: dict[str, Any], where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as raised:
        StudyFacts.model_validate({**WRITTEN, **change})
    assert raised.value.errors()[0]["loc"] == where
    with pytest.raises(ValidationError):
        StudyFacts.model_validate(WRITTEN).claim = "oracle"  # type: ignore[misc]
