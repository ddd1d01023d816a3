"""The roles of languages: which of them train, choose and are reported, as a study's YAML says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tuner.study.languages import Language, among
from tuner.study.trial import Part

Objective = Literal["mean", "worst", "cross_lingual", "balanced", "joint", "held_out", "pivot"]
"""The name of a criterion by which a study may choose."""
CROSSED: tuple[Objective, ...] = ("cross_lingual", "balanced", "joint")
"""The criteria that read pairs of different source languages."""


PAWSX = ("en", "de", "es", "fr", "ja", "ko", "zh")
FAMILY_OF_ENGLISH = ("de", "es", "fr")
"""The targets of PAWS-X in group `enf` of arXiv 2205.08497; all others are in `rest`."""
MEANS = ("sources", "targets")
"""Names of the means over languages that every study has; groups of targets follow them."""
GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class LanguagesConfig(Part):
    """Languages by role, as ISO 639-1 codes."""

    source: tuple[Language, ...] = Field(min_length=1, description="languages to train on")
    target: tuple[Language, ...] = Field((), description="languages that are only evaluated")
    groups: dict[GroupName, tuple[Language, ...]] = Field(
        {},
        max_length=20,
        description="groups of targets whose means are reported, by name; the languages of PAWS-X "
        "have two without it: enf (de, es, fr) and rest",
    )

    @field_validator("source", "target")
    @classmethod
    def _distinct(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(languages)) != len(languages):
            raise ValueError(f"languages must be distinct, got {', '.join(languages)}")
        return languages

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        for name, languages in self.groups.items():
            if name in (*MEANS, *self.source, *self.target):
                raise ValueError(f"languages.groups: {name} is the name of a language or a mean")
            if not languages or len(set(languages)) < len(languages):
                raise ValueError(f"languages.groups.{name} must have languages, each once")
            if others := [each for each in languages if each not in self.target]:
                raise ValueError(
                    f"languages.groups.{name} names {', '.join(others)}, not among languages.target"
                )
        return self

    @property
    def means(self) -> dict[str, tuple[str, ...]]:
        """The groups of targets, by name: those given, or those of PAWS-X."""
        if self.groups:
            return self.groups
        if not all(among(each, PAWSX) for each in self.target):
            return {}
        akin = tuple(each for each in self.target if among(each, FAMILY_OF_ENGLISH))
        return {"enf": akin, "rest": tuple(each for each in self.target if each not in akin)}


def _without_default(schema: dict[str, Any]) -> None:
    """Take from the schema a default that depends on other settings."""
    del schema["default"]


class ProtocolConfig(Part):
    """The data that may be used to choose configurations, and so the claims that results allow."""

    kind: Literal["zero_shot", "pivot", "translate_train", "oracle"] = Field(
        "zero_shot",
        description="the data that may be used to choose, and so the claims allowed for targets",
    )
    objective: Objective = Field(
        "mean",
        description="score over the permitted dev sets: mean, worst language, source x source, "
        "balanced (the lesser of the means over source languages and over source x source), joint "
        "(the share of a class that is right in every set), the held-out language, or the pivot "
        "alone. Default: pivot with kind: pivot, else balanced with two sources or more, else mean",
        json_schema_extra=_without_default,
    )
    pivot: tuple[Language, ...] = Field((), description="languages whose dev may be used to choose")
    held_out: Language | None = Field(None, description="a source language that is not trained on")
    record_oracle: bool = Field(
        True, description="record scores on target dev as oracle/...; no choice depends on them"
    )
    strict_overlap: bool = Field(
        False,
        description="drop pairs that share a sentence with a later split: dev pairs that share one "
        "with test, train pairs that share one with dev or test; test stays whole",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.kind == "pivot") != bool(self.pivot):
            raise ValueError("protocol.pivot must be set with protocol.kind: pivot, and only then")
        if self.objective == "pivot" and self.kind != "pivot":
            raise ValueError("protocol.objective pivot needs protocol.kind: pivot")
        if (self.objective == "held_out") != (self.held_out is not None):
            raise ValueError(
                "protocol.held_out must be set with objective: held_out, and only then"
            )
        if self.kind == "oracle" and self.objective not in ("mean", "worst"):
            raise ValueError(
                "protocol.kind oracle selects on target dev: set objective: mean or worst"
            )
        return self


def with_default_objective(settings: Any) -> Any:
    """Return the settings of a study with the objective that is the default for its protocol.

    It is `pivot` with `kind: pivot`, else `balanced` with two source languages or more. One source,
    a held-out source, or the upper bound `oracle` leave `mean`.
    """
    if not isinstance(settings, Mapping):
        return settings
    languages, protocol = settings.get("languages"), settings.get("protocol") or {}
    if not isinstance(protocol, Mapping) or "objective" in protocol:
        return settings
    sources = languages.get("source") if isinstance(languages, Mapping) else None
    match protocol.get("kind", "zero_shot"):
        case "pivot":
            objective = "pivot"
        case "zero_shot" | "translate_train" if (
            isinstance(sources, list | tuple) and len(sources) > 1 and not protocol.get("held_out")
        ):
            objective = "balanced"
        case _:
            return settings
    return {**settings, "protocol": {**protocol, "objective": objective}}


def check_roles(languages: LanguagesConfig, protocol: ProtocolConfig) -> None:
    """Refuse languages whose roles contradict the protocol.

    Raises:
        ValueError: the roles contradict the protocol.
    """
    both = sorted(each for each in languages.target if among(each, languages.source))
    if both and protocol.kind != "translate_train":
        raise ValueError(
            f"{', '.join(both)} cannot be both source and target (de-AT and de are one language): "
            f"a language that is trained on is never zero-shot (protocol.kind: translate_train "
            f"allows both, and then claims supervised)"
        )
    if protocol.kind == "oracle" and not languages.target:
        raise ValueError("protocol.kind oracle selects on target dev: name languages.target")
    if protocol.held_out is not None:
        if protocol.held_out not in languages.source:
            raise ValueError(f"protocol.held_out must be a source language: {protocol.held_out!r}")
        if len(languages.source) < 2:
            raise ValueError("protocol.held_out leaves no source language to train on")
        if among(protocol.held_out, trained := trained_on(languages, protocol)):
            raise ValueError(
                f"protocol.held_out {protocol.held_out} is a language that is trained on: "
                f"{', '.join(trained)}"
            )
    if protocol.objective in CROSSED and len(trained_on(languages, protocol)) < 2:
        raise ValueError(
            f"protocol.objective {protocol.objective} needs two source languages that are trained "
            f"on, got {', '.join(trained_on(languages, protocol))}: set protocol.objective: mean"
        )
    trained_pivot = [each for each in protocol.pivot if among(each, languages.source)]
    if trained_pivot:
        raise ValueError(
            f"a pivot must not be trained on, but {', '.join(trained_pivot)} is a source"
        )


def trained_on(languages: LanguagesConfig, protocol: ProtocolConfig) -> tuple[Language, ...]:
    """Return the source languages except the one that is held out."""
    return tuple(language for language in languages.source if language != protocol.held_out)
