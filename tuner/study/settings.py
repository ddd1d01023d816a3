"""StudySettings: the blocks of a study's settings, each of them checked on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
)
from upath import UPath

from tuner.storage.folders import Place
from tuner.storage.location import NAME, located
from tuner.study.data import DataConfig
from tuner.study.design import DesignConfig
from tuner.study.parts import (
    BudgetConfig,
    CheckpointConfig,
    DiagnosticsConfig,
    EncoderConfig,
    ResourcesConfig,
    SchedulerConfig,
    TrackingConfig,
)
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.samplers import SamplerConfig
from tuner.study.space import Space
from tuner.study.space.requirements import parse
from tuner.study.trial import Part, check_value


def _parsed(text: str) -> str:
    parse(text)
    return text


def _located(storage: Any) -> Place:
    """Return an absolute folder: workers and a later resume have other working directories."""
    if not isinstance(storage, str | Path | UPath):
        raise ValueError(f"must be a folder or a URL, got {storage!r}")
    return located(storage).absolute()


Storage = Annotated[
    Place,
    PlainValidator(_located),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]


class StudySettings(Part):
    """The settings of one study, without the checks between blocks that `StudyConfig` adds.

    Records of studies hold them, so that a study can be read even if its settings would no longer
    be accepted. `tuner.study.file.reopened_study` makes a `StudyConfig` of them.
    """

    name: str = Field(
        description="names the study's folder and its MLflow run",
        json_schema_extra={"pattern": f"^{NAME.pattern}$"},
    )
    description: str = Field(
        "", description="question that the study answers, in a sentence or two"
    )
    storage: Storage = Field(
        Path("studies"),
        validate_default=True,
        description="folder that holds the studies, or s3://bucket/folder, gs://bucket/folder",
    )
    data: DataConfig = Field(description="the sentence pairs; `source` determines the other keys")
    encoder: EncoderConfig = EncoderConfig()
    languages: LanguagesConfig
    protocol: ProtocolConfig = ProtocolConfig()
    budget: BudgetConfig
    scheduler: SchedulerConfig = SchedulerConfig()
    sampler: SamplerConfig = SamplerConfig()
    trial: dict[str, Any] = Field({}, description="fixed settings of every trial, by dotted name")
    space: Space = Field(Space(), description="settings that vary, by dotted name")
    require: tuple[Annotated[str, AfterValidator(_parsed)], ...] = Field(
        (),
        max_length=100,
        description="rules that the settings of every trial must satisfy, such as "
        "batch.effective_size >= batch.micro_size",
    )
    baseline: dict[str, Any] | None = Field(
        None, description="settings of the first trial, which ASHA never stops"
    )
    enqueue: tuple[dict[str, Any], ...] = Field(
        (),
        max_length=1000,
        description="points to try right after the baseline: settings of the space by dotted name; "
        "those left out have their values from `trial:`, or their defaults",
    )
    warm_start: tuple[Annotated[str, Field(pattern=f"^{NAME.pattern}$")], ...] = Field(
        (),
        max_length=100,
        description="names of earlier searches in the same storage from which the sampler learns: "
        "of the same data, encoder, languages, protocol, budget and rungs",
    )
    design: DesignConfig | None = Field(
        None, description="planned trials in place of a search; none of them is pruned"
    )
    resources: ResourcesConfig = ResourcesConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()
    tracking: TrackingConfig = TrackingConfig()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"name must be letters, digits, - and _, at most 64, got {name!r}")
        return name

    @field_validator("trial", "baseline", mode="before")
    @classmethod
    def _known_fields(cls, values: Any) -> Any:
        for name, value in values.items() if isinstance(values, dict) else ():
            check_value(str(name), value)
        return values
