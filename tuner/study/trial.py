"""TrialConfig: every setting of a trial, with its type, unit, default and check, in one place.

The defaults are XTREME's recipe for PAWS-X (AdamW, 2e-5, batches of 32, no warm-up, no weight
decay, clipping at 1, linear decay) on monolingual batches and the last layer: the control.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from tuner.errors import nearest
from tuner.study.fusions import FUSIONS
from tuner.study.kinds import OneOf

REFERENCE_BATCH = 32
"""Effective batch size, in pairs, to which `optim.lr` refers when `optim.lr_scaling` is on."""


class Neutral(NamedTuple):
    """Metadata of a setting that was added later: its value in trials that predate it.

    This value never changes, even if the default does, so a new setting invalidates no record.
    """

    value: Any


class Part(BaseModel):
    """A frozen block of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_not_true(cls, values: Any) -> Any:
        """Refuse booleans as numbers: Pydantic would read `trials: true` as one trial."""
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if not isinstance(value, bool) or name not in cls.model_fields:
                continue
            annotation = cls.model_fields[name].annotation
            if {annotation, *get_args(annotation)} & {int, float}:
                raise ValueError(f"{name} should be a number, got {str(value).lower()}")
        return values


class FusionConfig(Part):
    """The hidden states that the head reads (see `tuner.model.fusion`)."""

    kind: Annotated[str, OneOf(FUSIONS)] = Field(
        "last",
        description="fusion of the last layer and a lower one; last: the last layer alone",
    )
    layer: int | None = Field(
        None,
        ge=0,
        description="lower layer k fused with the last: 0 (embeddings) to L-1; not for kind last",
    )
    mode: Literal["multiply", "select"] = Field(
        "multiply", description="how AIF's weights are applied; dlfa only"
    )
    reduction: int = Field(4, ge=1, description="bottleneck r of AIF: hidden/r channels; dlfa only")

    @model_validator(mode="after")
    def _layer_where_fused(self) -> Self:
        if not self.fuses and self.layer is not None:
            raise ValueError(
                f"fusion.layer must be absent where fusion.kind is {self.kind}, got {self.layer}"
            )
        if self.fuses and self.layer is None:
            raise ValueError(f"fusion.layer must be given where fusion.kind is {self.kind}")
        return self

    @property
    def fuses(self) -> bool:
        """True if the head reads a lower layer."""
        return FUSIONS[self.kind].fuses


class MixConfig(Part):
    """The hybrid batch (see `tuner.data.batches`)."""

    cross_lingual: float = Field(
        0.0, ge=0, le=1, description="share of cross-lingual batches (beta = 1 - alpha)"
    )
    granularity: Literal["language", "kind", "pair"] = Field(
        "language",
        description="what the pairs of a batch share: kind and languages, kind alone, nothing",
    )


class BatchConfig(Part):
    """The number of pairs in an optimizer step, and in a forward pass."""

    effective_size: int = Field(32, ge=1, description="pairs an optimizer step consumes (B)")
    micro_size: int = Field(
        32,
        ge=1,
        description="full-length pairs in a forward pass (more if they are shorter); affects "
        "memory, never the result",
    )


class OptimConfig(Part):
    """AdamW, its learning-rate schedule over pairs, and clipping."""

    lr: float = Field(2e-5, gt=0, description="peak learning rate at the reference batch of 32")
    lr_scaling: Literal["none", "sqrt", "linear"] = Field(
        "none", description="how lr grows with the effective batch, from a reference of 32"
    )
    new_modules_lr: float = Field(
        1.0, gt=0, description="learning-rate multiplier of fusion and head"
    )
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="share of the budget spent warming up")
    schedule: Literal["linear", "constant"] = Field(
        "linear", description="learning rate after warm-up"
    )
    weight_decay: float = Field(
        0.0, ge=0, description="decoupled; not for biases, norms and token embeddings"
    )
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")

    def peak_lr(self, effective_size: int) -> float:
        """Return the schedule's highest learning rate for an effective batch size."""
        ratio = effective_size / REFERENCE_BATCH
        factor = {"none": 1.0, "sqrt": math.sqrt(ratio), "linear": ratio}[self.lr_scaling]
        return self.lr * factor


class HeadConfig(Part):
    """The classification head: pooler where pre-trained, dropout, linear."""

    dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the linear layer")


class TrialConfig(Part):
    """One sampled configuration. Equal configurations and seeds train equal models."""

    seed: int = Field(
        0, ge=0, description="determines the order of the data, new weights and dropout"
    )
    mix: MixConfig = MixConfig()
    batch: BatchConfig = BatchConfig()
    fusion: FusionConfig = FusionConfig()
    head: HeadConfig = HeadConfig()
    optim: OptimConfig = OptimConfig()
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="auto: bf16 autocast if the hardware has it and the encoder gains from it",
    )

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Create a configuration from dotted names such as `{"optim.lr": 5e-4}`, plus defaults.

        Raises:
            pydantic.ValidationError: a name is unknown or a value breaks its rule.
        """
        return cls.model_validate(nest(values))

    def flat(self) -> dict[str, Any]:
        """Return every setting by its dotted name, in the order of declaration."""
        return flatten(self.model_dump())

    def value(self, name: str) -> Any:
        """Return one setting by its dotted name."""
        found: Any = self
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def identity(self) -> dict[str, Any]:
        """Return the settings that identify this configuration: all except neutral values."""
        neutral = _neutral()
        known = {n: v for n, v in self.flat().items() if n not in neutral or v != neutral[n]}
        return nest(known)


def check_value(name: str, value: Any) -> None:
    """Check one setting by itself; TrialConfig checks rules between settings.

    The check is strict: a string is not accepted as a number, because callers compare and multiply
    the value without conversion.

    Raises:
        ValueError: the setting is unknown, or its value is not allowed.
    """
    if name not in FIELDS:
        raise ValueError(f"unknown setting {name!r}: {nearest(name, list(FIELDS))}")
    try:
        _adapter(name).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        message = message[:1].lower() + message[1:]
        raise ValueError(f"{name}: {message}, got {value!r}") from None


def value_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a setting's allowed values, with default and description."""
    return _adapter(name).json_schema()


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    field = FIELDS[name]
    type_: Any = Annotated[field.annotation, field]
    return TypeAdapter(type_, config=ConfigDict(strict=True, allow_inf_nan=False))


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nest dotted names: `{"optim.lr": 1}` → `{"optim": {"lr": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *path, leaf = name.split(".")
        block = nested
        for part in path:
            block = block.setdefault(part, {})
            if not isinstance(block, dict):
                raise ValueError(f"{name}: {part} is a value, not a block")
        block[leaf] = value
    return nested


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten to dotted names: `{"optim": {"lr": 1}}` → `{"optim.lr": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _fields(block: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    fields: dict[str, FieldInfo] = {}
    for name, field in block.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields |= _fields(field.annotation, f"{prefix}{name}.")
        else:
            fields[f"{prefix}{name}"] = field
    return fields


FIELDS: dict[str, FieldInfo] = _fields(TrialConfig)
"""Every setting of a trial by its dotted name, in the order of declaration."""


def _neutral() -> dict[str, Any]:
    return {
        name: mark.value
        for name, field in FIELDS.items()
        for mark in field.metadata
        if isinstance(mark, Neutral)
    }


def _as_recorded(values: Any) -> Any:
    """Add the neutral value of each setting that a record lacks."""
    return nest(_neutral() | flatten(values)) if isinstance(values, Mapping) else values


RecordedConfig = Annotated[TrialConfig, BeforeValidator(_as_recorded)]
"""A recorded configuration; a setting that did not exist yet has its neutral value."""
