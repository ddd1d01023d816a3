"""What can be said of an encoder without loading it: where it is, how large, what fits on it.

Read from its configuration and from the header of its weights, without torch and transformers,
which take seconds to import: `tuner plan` answers before that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import safe_open

from tuner.config import FusionConfig
from tuner.data import nano
from tuner.errors import UserError
from tuner.hub import ask, offline
from tuner.study.parts import EncoderConfig

FILES = "config.json, model.safetensors, tokenizer.json (or vocab.txt and tokenizer_config.json)"
LAYERS, HIDDEN = ("num_hidden_layers", "n_layers"), ("hidden_size", "dim")
"""What configurations call these numbers; the second is DistilBERT's."""
TOKENS = "embeddings."
"""Where an encoder's weights begin: what stands before it in their names is before all of them."""


@dataclass(frozen=True)
class EncoderShape:
    """How large an encoder is.

    Attributes:
        num_layers: L: hidden states are numbered 0 (the embeddings' output) to L.
        hidden_size: E: channels of a hidden state.
        parameters: of the encoder alone, without the heads of other tasks.
        positions: as its configuration says, which of RoBERTa is two too many; None where it does
            not.
    """

    num_layers: int
    hidden_size: int
    parameters: int
    positions: int | None = None


def source_of(encoder: EncoderConfig) -> str:
    """A local folder that exists, or a hub id.

    Raises:
        UserError: what can only be a folder is none.
    """
    if encoder.name == "nano":
        return str(nano.encoder_folder())
    folder = Path(encoder.name).expanduser()
    if folder.is_dir():
        return str(folder)
    if encoder.name.startswith((".", "~", "/")) or encoder.name.count("/") > 1:
        raise UserError(
            f"the encoder's folder {encoder.name} does not exist",
            f"encoder.name is a hub id, nano, or a folder with {FILES}",
        )
    return encoder.name


def describe_encoder(encoder: EncoderConfig) -> EncoderShape:
    """The shape of an encoder; of its weights no more than the header is read or fetched.

    Raises:
        UserError: configuration or header cannot be found, reached or read.
    """
    source = source_of(encoder)
    silent = not Path(source).is_dir() and bool(ask("model", source, encoder.revision).silence)
    with offline(silent):
        try:
            config = json.loads(_file(source, encoder.revision, "config.json").read_bytes())
            layers, hidden = _number(config, LAYERS), _number(config, HIDDEN)
            positions = config.get("max_position_embeddings")
        except Exception as error:  # of the hub's libraries, or of what is no such JSON
            refuse(encoder, "configuration", error)
        try:
            shapes = _shapes(source, encoder.revision)
        except Exception as error:
            refuse(encoder, "weights", error)
    positions = positions if isinstance(positions, int) else None
    return EncoderShape(layers, hidden, _parameters(shapes), positions)


def refuse(encoder: EncoderConfig, part: str, error: Exception) -> NoReturn:
    """Say what is wrong with a part of an encoder, whatever library found it.

    Raises:
        UserError: always.
    """
    if any(isinstance(each, LocalEntryNotFoundError) for each in (error, error.__cause__)):
        reason = "the Hugging Face hub cannot be reached and it is not in the local cache"
        remedy = f"connect once, unset HF_HUB_OFFLINE, or set encoder.name to a folder with {FILES}"
    else:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        remedy = f"encoder.name must be a hub id, nano, or a folder with {FILES}"
    raise UserError(f"the {part} of {encoder.name!r} cannot be loaded: {reason}", remedy) from error


def check_max_length(encoder: EncoderConfig, positions: int) -> None:
    """Check that an encoder of so many positions takes pairs of `encoder.max_length` tokens.

    Raises:
        UserError: it does not.
    """
    if encoder.max_length > positions:
        raise UserError(
            f"encoder.max_length must be at most {positions}, the positions of {encoder.name!r}, "
            f"got {encoder.max_length}",
            f"set encoder.max_length to {positions} or less",
        )


def check_layer(config: FusionConfig, num_layers: int) -> None:
    """Check that an encoder of `num_layers` layers (L) has the lower layer `config.layer` (k).

    Hidden states are numbered as Hugging Face does: 0 is the embeddings' output, L the last.

    Raises:
        UserError: k is not one of 0 ... L-1.
    """
    if config.layer is not None and config.layer >= num_layers:
        raise UserError(
            f"fusion.layer must be 0 ... {num_layers - 1} for an encoder of {num_layers} layers, "
            f"got {config.layer}",
            "Choose a lower layer (0 is the embeddings' output), for instance "
            f"--set space.fusion.layer.high={num_layers - 1}; the last one is fused anyway.",
        )


def added_parameters(config: FusionConfig, hidden_size: int, labels: int = 2) -> int:
    """Weights of fusion and head, as `tuner.model.fusion` makes them."""
    channels = hidden_size // config.reduction
    branch = 2 * hidden_size * channels + 3 * channels + 3 * hidden_size
    fusion = {
        "last": 0,
        "sum": 0,
        "concat": 2 * hidden_size**2 + hidden_size,
        "dlfa": 2 * branch,
    }
    return fusion[config.kind] + labels * (hidden_size + 1)


def _number(config: Mapping[str, object], names: tuple[str, ...]) -> int:
    for name in names:
        if isinstance(number := config.get(name), int):
            return number
    raise ValueError(f"config.json says no {names[0]}: it is no encoder's")


def _file(source: str, revision: str | None, name: str) -> Path:
    if Path(source).is_dir():
        return Path(source) / name
    return Path(huggingface_hub.hf_hub_download(source, name, revision=revision))


def _shapes(source: str, revision: str | None) -> dict[str, list[int]]:
    """Of all weights, by name; where the hub has them and the cache has not, from the hub."""
    folder = Path(source)
    if not folder.is_dir():
        found = huggingface_hub.try_to_load_from_cache(source, "config.json", revision=revision)
        folder = Path(found).parent if isinstance(found, str) else folder
    files = sorted(folder.glob("model*.safetensors")) if folder.is_dir() else []
    if not files and not Path(source).is_dir():
        told = huggingface_hub.HfApi().get_safetensors_metadata(source, revision=revision)
        return {
            name: list(tensor.shape)
            for file in told.files_metadata.values()
            for name, tensor in file.tensors.items()
        }
    if not files:
        raise FileNotFoundError(f"there is no model.safetensors in {source}")
    shapes: dict[str, list[int]] = {}
    for file in files:
        with safe_open(file, framework="numpy") as opened:
            shapes |= {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118 (it is no dict)
    return shapes


def _parameters(shapes: Mapping[str, list[int]]) -> int:
    """Of the encoder: where a head of another task is beside it, its weights have a prefix."""
    first = min((name for name in shapes if TOKENS in name), key=len, default="")
    prefix = first.partition(TOKENS)[0]
    return sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(prefix))
