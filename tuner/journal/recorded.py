"""What readers of a study take for granted in its recorded settings and facts, checked once.

A journal may be of another version of this tool, or made by someone who means harm. What is checked
here is the shape: that blocks have their keys, and keys their types. Whether settings fit together
is for those who go on with the study (`reopened_study`): it can be looked at in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tuner.study import StudyConfig
from tuner.study.scores import Count


class _Settings(StudyConfig):
    """Each block by itself."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self


class _Known(BaseModel):
    """Some of the keys of a block of facts; what else there is stays."""

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
    """Recorded settings with every key that this version knows.

    Raises:
        ValidationError: a key is unknown or missing, or has another type.
    """
    return _Settings.model_validate(settings).model_dump(mode="json")


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded facts; of what may be unknown there is nothing.

    Raises:
        ValidationError: one is missing, or has another type.
    """
    return _Facts.model_validate(facts).model_dump(mode="json", exclude_none=True)
