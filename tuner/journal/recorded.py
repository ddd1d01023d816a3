"""Checks of a study's recorded settings and facts, on which all readers of the study rely.

A journal may be from another version of this tool, or malicious. This module checks the shape:
every block has its keys, and every key its type. Whether the settings are consistent is checked
only when a study is resumed (`reopened_study`), so that any study can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.study import StudyConfig
from tuner.study.scores import Count


class _Settings(StudyConfig):
    """Settings whose blocks are checked one by one, without the checks between blocks."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self


class _Known(BaseModel):
    """A block of facts with some known keys; other keys are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class _Data(_Known):
    source: str
    checksum: str
    languages: tuple[str, ...]
    counts: dict[str, dict[str, Count]]
    machine_translated: bool | None = None
    training_pairs: Count | None = None
    notes: tuple[str, ...] = ()


class _Encoder(_Known):
    name: str
    checksum: str
    layers: Count
    revision: str | None = None
    seen: tuple[str, ...] = ()


class _Shared(_Known):
    ids: Count = 0
    shared: dict[str, Count] = {}
    components: Count | None = None
    effective_ids: float | None = None


class _Rows(_Known):
    components: str
    clean: dict[str, str]


class _Overlap(_Known):
    counts: dict[str, _Shared] = {}
    rows: dict[str, _Rows] = {}


class _Facts(_Known):
    claim: str
    objective: str
    majority_accuracy: float = Field(ge=0, le=1)
    data: _Data
    encoder: _Encoder
    overlap: _Overlap = _Overlap()
    environment: dict[str, str] = {}


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings with every key that this version knows.

    Raises:
        ValidationError: a key is unknown or missing, or has another type.
    """
    return _Settings.model_validate(settings).model_dump(mode="json")


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded facts without the keys whose value is unknown (None).

    Raises:
        ValidationError: a fact is missing, or has another type.
    """
    return _Facts.model_validate(facts).model_dump(mode="json", exclude_none=True)
