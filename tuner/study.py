"""StudyConfig: what a YAML of `search_spaces/` says; every key, its type, default and check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tuner.config import Part, TrialConfig, check_value
from tuner.space import Space, compose

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
Language = str


class DataConfig(Part):
    """Where the pairs come from."""

    source: Literal["nano", "directory"] = Field(
        description="nano: the built-in artificial languages; directory: the official PAWS-X layout"
    )
    path: Path | None = Field(None, description="the folder, where source is directory")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @model_validator(mode="after")
    def _path_where_needed(self) -> Self:
        if (self.source == "directory") != (self.path is not None):
            raise ValueError("data.path belongs to data.source: directory, and is needed there")
        return self


class EncoderConfig(Part):
    """The pre-trained multilingual encoder."""

    name: str = Field(
        "bert-base-multilingual-cased", description="hub id, local folder, or nano (built in)"
    )
    revision: str | None = Field(None, description="commit of the hub's repository; pin it")
    max_length: int = Field(128, ge=8, description="tokens of a pair, special tokens included")


class LanguagesConfig(Part):
    """Languages by role, as ISO 639-1 codes."""

    source: tuple[Language, ...] = Field(min_length=1, description="trained on")
    target: tuple[Language, ...] = Field((), description="only evaluated")

    @field_validator("source", "target")
    @classmethod
    def _distinct(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(languages)) != len(languages):
            raise ValueError(f"languages must be distinct, got {', '.join(languages)}")
        return languages


class ProtocolConfig(Part):
    """What may choose, and so what may be claimed."""

    kind: Literal["zero_shot", "pivot", "translate_train", "oracle"] = "zero_shot"
    objective: Literal["mean", "worst", "cross_lingual", "held_out"] = Field(
        "mean", description="of permitted dev: mean, worst language, source x source, held out"
    )
    pivot: tuple[Language, ...] = Field((), description="languages whose dev may choose")
    held_out: Language | None = Field(None, description="a source language not trained on")
    record_oracle: bool = Field(
        True, description="record target dev as oracle/...; nothing that chooses reads it"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.kind == "pivot") != bool(self.pivot):
            raise ValueError("protocol.pivot belongs to protocol.kind: pivot, and is needed there")
        if (self.objective == "held_out") != (self.held_out is not None):
            raise ValueError("protocol.held_out belongs to objective: held_out and is needed there")
        if self.kind == "oracle" and self.objective in ("cross_lingual", "held_out"):
            raise ValueError("protocol.kind oracle selects on target dev: objective mean or worst")
        return self


class BudgetConfig(Part):
    """What the study may spend."""

    trials: int = Field(ge=1, description="trials in all, the baseline included")
    pairs_per_trial: int = Field(ge=1, description="full budget of a trial, in pairs")


class SchedulerConfig(Part):
    """ASHA (arXiv 1810.05934), stopping variant, over rungs in pairs."""

    kind: Literal["asha", "none"] = "asha"
    min_pairs: int = Field(1, ge=1, description="the first rung, in pairs")
    reduction_factor: int = Field(3, ge=2, description="eta: one in eta goes on at a rung")


class SamplerConfig(Part):
    """How configurations are proposed."""

    kind: Literal["tpe", "random"] = "tpe"
    seed: int = Field(0, ge=0, description="with the trial's number, all the sampler's randomness")
    startup_trials: int = Field(8, ge=1, description="random trials before TPE models the space")


class ResourcesConfig(Part):
    """What one trial is given, and how many may run at once."""

    cpus_per_trial: float = Field(1, gt=0)
    gpus_per_trial: float = Field(0, ge=0)
    max_concurrent_trials: int | None = Field(
        None, ge=1, description="default: what the cluster can hold at its declared maximum"
    )
    max_failures: int = Field(2, ge=0, description="restarts of a trial that failed unexpectedly")


class CheckpointConfig(Part):
    """When a running trial is saved, beside its rungs."""

    every_seconds: float = Field(300, gt=0)


class TrackingConfig(Part):
    """MLflow."""

    uri: str | None = Field(None, description="default: sqlite beside the studies")
    experiment: str = Field("tuner", min_length=1)

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri and urlsplit(uri).password is not None:
            raise ValueError(
                "tracking.uri holds a password, which would be kept with the study: give it as "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment"
            )
        return uri


class StudyConfig(Part):
    """One study: what a file of `search_spaces/` says."""

    name: str = Field(description="names the study's folder and its MLflow run")
    description: str = Field("", description="what the study asks, in a sentence or two")
    storage: Path = Field(
        Path("studies"), validate_default=True, description="folder that holds the studies"
    )
    data: DataConfig
    encoder: EncoderConfig = EncoderConfig()
    languages: LanguagesConfig
    protocol: ProtocolConfig = ProtocolConfig()
    budget: BudgetConfig
    scheduler: SchedulerConfig = SchedulerConfig()
    sampler: SamplerConfig = SamplerConfig()
    trial: dict[str, Any] = Field({}, description="fixed settings of every trial, by dotted name")
    space: Space = Field(Space(), description="what varies, by dotted name")
    baseline: dict[str, Any] | None = Field(None, description="run first, protected from ASHA")
    resources: ResourcesConfig = ResourcesConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    tracking: TrackingConfig = TrackingConfig()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"name must be letters, digits, - and _, at most 64, got {name!r}")
        return name

    @field_validator("storage")
    @classmethod
    def _absolute(cls, storage: Path) -> Path:
        return storage.expanduser().absolute()  # workers and a later resume stand elsewhere

    @field_validator("trial", "baseline", mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:
        for name, value in values.items() if isinstance(values, dict) else ():
            check_value(str(name), value)
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_languages(self.languages, self.protocol)
        for config in self.corner_configs():
            self.check_mix(config)
        if self.scheduler.kind == "asha" and self.scheduler.min_pairs > self.budget.pairs_per_trial:
            raise ValueError(
                f"scheduler.min_pairs ({self.scheduler.min_pairs}) must not exceed "
                f"budget.pairs_per_trial ({self.budget.pairs_per_trial})"
            )
        return self

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.storage / self.name

    def trial_folder(self, number: int) -> Path:
        """Where a trial keeps its checkpoint, on storage that every worker reaches."""
        return self.folder / "trials" / f"{number:04d}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """Nominal budgets at which trials are evaluated, in pairs; the last is the full budget."""
        full = self.budget.pairs_per_trial
        if self.scheduler.kind == "none":
            return (full,)
        eta, first = self.scheduler.reduction_factor, self.scheduler.min_pairs
        lower = takewhile(lambda rung: rung < full, (first * eta**k for k in range(64)))
        return (*lower, full)

    def baseline_config(self) -> TrialConfig:
        """The control's configuration: the fixed settings with the baseline's on top."""
        return compose(self.trial, self.baseline or {}, "the baseline is no valid trial")

    def corner_configs(self) -> Iterator[TrialConfig]:
        """What every check of a trial is held against before anything starts.

        The baseline, every end of the space, and a sample of its inside.
        """
        if self.baseline is not None:
            yield self.baseline_config()
        for point in self.space.extremes():
            yield self.space.trial_config(self.trial, point)
        for number in range(32):
            yield self.space.trial_config(self.trial, self.space.draw(seed=number))

    def check_mix(self, trial: TrialConfig) -> None:
        """Refuse cross-lingual batches without two languages to train on."""
        trained = trained_on(self.languages, self.protocol)
        if trial.mix.cross_lingual > 0 and len(trained) < 2:
            raise ValueError(
                f"mix.cross_lingual is {trial.mix.cross_lingual:g}, but cross-lingual batches need "
                f"two source languages and there is one ({', '.join(trained)}): "
                f"add a source language or fix mix.cross_lingual at 0"
            )


def trained_on(languages: LanguagesConfig, protocol: ProtocolConfig) -> tuple[Language, ...]:
    """The source languages but the one that is held out."""
    return tuple(language for language in languages.source if language != protocol.held_out)


def _check_languages(languages: LanguagesConfig, protocol: ProtocolConfig) -> None:
    both = set(languages.source) & set(languages.target)
    if both and protocol.kind != "translate_train":
        raise ValueError(
            f"{', '.join(sorted(both))} cannot be source and target: a language trained on is "
            f"never zero-shot (protocol.kind: translate_train allows it and claims supervised)"
        )
    if protocol.kind == "oracle" and not languages.target:
        raise ValueError("protocol.kind oracle selects on target dev: name languages.target")
    if protocol.held_out is not None:
        if protocol.held_out not in languages.source:
            raise ValueError(f"protocol.held_out must be a source language: {protocol.held_out!r}")
        if len(languages.source) < 2:
            raise ValueError("protocol.held_out leaves no source language to train on")
    if protocol.objective == "cross_lingual" and len(languages.source) < 2:
        raise ValueError("protocol.objective cross_lingual needs two source languages")
    trained_pivot = set(protocol.pivot) & set(languages.source)
    if trained_pivot:
        raise ValueError(f"a pivot is not trained on, but {', '.join(trained_pivot)} is a source")
