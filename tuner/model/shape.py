"""The shape of an encoder, found without loading it: its source, its size, what fits it.

The functions read its configuration and the header of its weights, without torch and transformers,
which take seconds to import: `tuner plan` answers before that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.data import nano
from tuner.data.hub import cached_folder
from tuner.errors import UserError
from tuner.model.configuration import check_kind, numbers_of
from tuner.model.fetching import fetched
from tuner.model.files import (
    FILES,
    check_tokenizer,
    likely_folder,
    raise_unloadable,
    read_json,
    read_shapes,
)
from tuner.model.one_language import check_one_language
from tuner.model.verdict import known
from tuner.study import StudyConfig
from tuner.study.fusions import FUSIONS
from tuner.study.limiting import options_to_limit
from tuner.study.parts import EncoderConfig
from tuner.study.trial import FusionConfig

TOKENS = "embeddings."
"""The first part of an encoder's own weight names; all of its names share the prefix before it."""
LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)\.")
"""The layer's number in the name of a weight."""


@dataclass(frozen=True)
class EncoderShape:
    """The size of an encoder.

    Attributes:
        num_layers: number of layers L; hidden states are numbered 0 (the embeddings' output) to L.
        hidden_size: channels of a hidden state, E.
        parameters: parameters of the encoder alone, without the heads of other tasks.
        positions: number of tokens it takes; None if its configuration sets no limit.
    """

    num_layers: int
    hidden_size: int
    parameters: int
    positions: int | None = None


def source_of(encoder: EncoderConfig) -> str:
    """Return a local folder that exists, or a hub id.

    Raises:
        UserError: the name can only be a folder, and the folder does not exist.
    """
    if encoder.name == "nano":
        return str(nano.encoder_folder())
    folder = Path(encoder.name).expanduser()
    if folder.is_dir():
        return str(folder)
    if encoder.name.startswith((".", "~", "/")) or encoder.name.count("/") > 1:
        hint = likely_folder(str(folder))
        raise UserError(
            f"the encoder's folder {encoder.name} does not exist{f': {hint}' if hint else ''}",
            f"Set encoder.name to a hub id, nano, or a folder with {FILES}",
        )
    return encoder.name


def describe_encoder(encoder: EncoderConfig) -> EncoderShape:
    """Return the shape of an encoder; only the header of its weights is read or fetched.

    Raises:
        UserError: the encoder cannot be found, reached or read, or cannot be trained.
        HubAway: the hub may have the encoder, but does not answer.
    """
    source = source_of(encoder)
    if Path(source).is_dir():
        config = read_config(Path(source), encoder.name)
        return _shape(config, read_shapes(Path(source), encoder.name), encoder.name)
    folder, shapes = fetched(encoder)
    config = read_config(folder, encoder.name)
    return _shape(config, shapes or read_shapes(folder, encoder.name), encoder.name)


def check_encoder(study: StudyConfig) -> EncoderShape:
    """Check an encoder by its files alone, and that a study's trials fit it.

    Raises:
        UserError: as raised by `describe_encoder`, `check_fits`, `check_tokenizer` and
            `check_one_language`; or the encoder was tried before, and cannot be trained.
        HubAway: the hub may have the encoder, but does not answer.
    """
    encoder = study.encoder
    shape = describe_encoder(encoder)
    source = Path(source_of(encoder))
    folder = source if source.is_dir() else cached_folder(encoder.name, encoder.revision)
    if folder is not None:
        config = read_config(folder, encoder.name)
        if source.is_dir():
            check_tokenizer(folder, encoder.name, numbers_of(config, encoder.name).rows)
        check_one_language(config, study)
        if (verdict := known(folder, encoder.max_length)) is not None:
            verdict.check(study)
    check_fits(study, shape)
    return shape


def check_fits(study: StudyConfig, shape: EncoderShape) -> None:
    """Check that the encoder has what every trial of a study needs.

    Raises:
        UserError: pairs are too long for the encoder, or it lacks a layer or channels.
    """
    if shape.positions is not None:
        check_max_length(study.encoder, shape.positions)
    fusions = [config.fusion for config in study.corner_configs()]
    check_layer(
        max(fusions, key=lambda fusion: fusion.layer or 0),
        shape.num_layers,
        options_to_limit(study, "fusion.layer", shape.num_layers - 1),
    )
    used = [fusion.reduction for fusion in fusions if FUSIONS[fusion.kind].reduces]
    options = options_to_limit(study, "fusion.reduction", shape.hidden_size)
    check_reduction(max(used, default=1), shape.hidden_size, options)


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """Read the configuration of an encoder in a folder; check that its kind can be trained.

    Raises:
        UserError: the configuration is missing, broken, or of a kind that cannot be trained.
    """
    config = read_json(folder / "config.json", name, "configuration")
    check_kind(config, name)
    numbers_of(config, name)
    return config


def _shape(config: dict[str, Any], shapes: Mapping[str, list[int]], name: str) -> EncoderShape:
    """Combine configuration and weight shapes, checked against each other.

    Raises:
        UserError: a number is invalid, or the two belong to different models.
    """
    layers, hidden, rows, positions = numbers_of(config, name)
    numbered = [int(found[1]) for found in map(LAYER.search, shapes) if found]
    both = "Copy config.json and the weights from the same model."
    if numbered and max(numbered) + 1 < layers:
        reason = f"config.json says {layers} layers, but the weights have {max(numbered) + 1}"
        raise_unloadable(name, "weights", reason, both)
    if rows is not None and not any(shape[:1] == [rows] for shape in shapes.values()):
        raise_unloadable(name, "weights", f"no weight has the {rows:,} rows of vocab_size", both)
    if not any(hidden in shape for shape in shapes.values()):
        raise_unloadable(
            name, "weights", f"no weight has the {hidden:,} channels of config.json", both
        )
    return EncoderShape(layers, hidden, _parameters(shapes), positions)


def check_max_length(encoder: EncoderConfig, positions: int) -> None:
    """Check that an encoder of `positions` positions takes pairs of `encoder.max_length` tokens.

    Raises:
        UserError: `encoder.max_length` is larger.
    """
    if encoder.max_length > positions:
        raise UserError(
            f"encoder.max_length must be at most {positions}, the positions of {encoder.name!r}, "
            f"got {encoder.max_length}",
            f"--set encoder.max_length={positions}, or less"
            if positions >= 8
            else "Choose an encoder that takes longer pairs.",
        )


def check_layer(config: FusionConfig, num_layers: int, options: str = "") -> None:
    """Check that an encoder of `num_layers` layers (L) has the lower layer `config.layer` (k).

    Hidden states are numbered as Hugging Face does: 0 is the embeddings' output, L the last.

    Args:
        config: a trial's fusion.
        num_layers: number of layers of the encoder.
        options: the settings that lower k in the study, for the remedy; empty if unknown.

    Raises:
        UserError: k is not one of 0 ... L-1.
    """
    if config.layer is not None and config.layer >= num_layers:
        raise UserError(
            f"fusion.layer must be 0 ... {num_layers - 1} for an encoder of {num_layers} layers, "
            f"got {config.layer}",
            f"Choose a lower layer (0: the embeddings): "
            f"{options or f'fusion.layer={num_layers - 1}'}; the last one is always fused.",
        )


def check_reduction(reduction: int, hidden_size: int, options: str = "") -> None:
    """Check that AIF's bottleneck keeps a channel, `hidden_size / reduction` rounded down.

    Raises:
        UserError: the reduction leaves no channel.
    """
    if reduction > hidden_size:
        raise UserError(
            f"fusion.reduction must be at most the encoder's hidden size {hidden_size}, "
            f"got {reduction}",
            f"Lower it: {options or f'fusion.reduction={hidden_size}'}",
        )


def added_parameters(config: FusionConfig, hidden_size: int, labels: int = 2) -> int:
    """Return the number of weights of fusion and head, as built by `tuner.model`."""
    fusion = FUSIONS[config.kind].weights(hidden_size, config.reduction)
    return fusion + labels * (hidden_size + 1)


def _parameters(shapes: Mapping[str, list[int]]) -> int:
    """Count the encoder's parameters; beside another task's head, their names have a prefix."""
    first = min((name for name in shapes if TOKENS in name), key=len, default="")
    prefix = first.partition(TOKENS)[0]
    return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix))
