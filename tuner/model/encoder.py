"""The pre-trained encoder: loaded once from safetensors, then built anywhere from plain arrays.

Only this module loads pre-trained weights and tokenizers, from files or the Hugging Face hub.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.initialization import no_init_weights
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging

from tuner.data.hub import ask, offline
from tuner.errors import UserError
from tuner.model.architectures import check_architecture
from tuner.model.configuration import positions_of, seen_languages
from tuner.model.fetching import refuse
from tuner.model.files import check_tokenizer, check_vocabulary
from tuner.model.pooler import leaves_its_pooler, without_pooler
from tuner.model.shape import (
    EncoderShape,
    check_max_length,
    describe_encoder,
    read_config,
    source_of,
)
from tuner.study.parts import EncoderConfig

# transformers would ask a bot to open a pull request at a hub repository without safetensors.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


TASK_HEADS = frozenset(
    {"classifier", "pre_classifier", "classification_head", "score", "logits_proj", "qa_outputs"}
)
"""Names that transformers gives to modules for a task; those of pre-training have others."""


@dataclass(frozen=True, eq=False)
class PretrainedEncoder:
    """An encoder as data: picklable, free of torch modules, shareable through an object store.

    Attributes:
        name: the encoder's name, as the user gave it.
        config: the transformers configuration as a dictionary.
        weights: float32 arrays by parameter name; they may be read-only.
        embedding: name of the array that has a row for each token.
        has_pooler: True if a pre-trained pooler is among the weights.
        checksum: sha256 over configuration and weights, before any was cut.
        kept_tokens: ids, ascending, of the tokens that the rows of `embedding` are for; None if
            they are for all tokens. See `tuner.model.vocabulary`.
        task_head: name of a module for a task in the checkpoint, beside the encoder; empty if it
            has none. It tells that the encoder was fine-tuned, but not on what.
    """

    name: str
    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    embedding: str
    has_pooler: bool
    checksum: str
    kept_tokens: np.ndarray | None = None
    task_head: str = ""

    @property
    def seen(self) -> tuple[str, ...]:
        """The languages it was fine-tuned or chosen on, if it was exported from a study."""
        return seen_languages(self.config, self.name)

    @property
    def num_layers(self) -> int:
        """The number of layers L: hidden states are numbered 0 (the embeddings' output) to L."""
        return int(self._config().num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """The number of channels of a hidden state, E."""
        return int(self._config().hidden_size)

    @property
    def shape(self) -> EncoderShape:
        """The size of this encoder, whether cut or whole."""
        parameters = sum(array.size for array in self.weights.values())
        positions = positions_of(self.config, self.name)
        return EncoderShape(self.num_layers, self.hidden_size, parameters, positions)

    def build(self) -> PreTrainedModel:
        """Build a new module in training mode from a copy of the weights; read no file or hub."""
        with no_init_weights():
            model: PreTrainedModel = AutoModel.from_config(self._config())  # type: ignore[no-untyped-call]
            if self.has_pooler and getattr(model, "pooler", None) is None:  # only on request
                model = AutoModel.from_config(self._config(), add_pooling_layer=True)  # type: ignore[no-untyped-call]
        if not self.has_pooler:
            without_pooler(model)
        # torch.tensor copies, so the arrays stay as they are and may be read-only.
        weights = {name: torch.tensor(array) for name, array in self.weights.items()}
        model.load_state_dict(weights, assign=True)
        model.train()
        return model

    def _config(self) -> PretrainedConfig:
        return AutoConfig.for_model(**self.config)


def load_encoder(encoder: EncoderConfig) -> PretrainedEncoder:
    """Load weights and configuration from a local folder or the hub, safetensors only.

    A checkpoint saved without its pooler gives `has_pooler` False. Any other missing weight is an
    error; it is never re-initialised.

    Raises:
        UserError: the encoder cannot be found, reached or read, is not an encoder-only model, lacks
            weights, has weights that are NaN or infinite, or takes fewer than `encoder.max_length`
            tokens.
    """
    source = source_of(encoder)
    with _quietly(encoder, source):
        config = _load_config(encoder, source)
        if Path(source).is_dir():
            describe_encoder(encoder)
        given: dict[str, Any] = {
            "config": config,
            "revision": encoder.revision,
            "use_safetensors": True,
            "trust_remote_code": False,
            "dtype": torch.float32,
            "output_loading_info": True,
        }
        try:
            model, report = AutoModel.from_pretrained(source, **given)
            if leaves_its_pooler(model, report["unexpected_keys"]):
                given["add_pooling_layer"] = True
                model, report = AutoModel.from_pretrained(source, **given)
        except Exception as error:  # transformers raises many kinds for damaged files
            refuse(encoder, "weights", error)
    missing_pooler = {key for key in report["missing_keys"] if key.startswith("pooler.")}
    if missing := sorted(set(report["missing_keys"]) - missing_pooler):
        raise UserError(
            f"the encoder {encoder.name!r} lacks {len(missing)} of its weights: "
            f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}",
            "Use a complete checkpoint from save_pretrained; missing weights are never filled in.",
        )
    _check_max_length(encoder, model)
    _check_finite(encoder, model)
    weights = {
        name: tensor.numpy()
        for name, tensor in model.state_dict().items()
        if not (missing_pooler and name.startswith("pooler."))
    }
    settings = model.config.to_dict()
    for unstable in ("_name_or_path", "transformers_version"):
        settings.pop(unstable, None)
    return PretrainedEncoder(
        name=encoder.name,
        config=settings,
        weights=weights,
        embedding=_embedding(model),
        has_pooler=getattr(model, "pooler", None) is not None and not missing_pooler,
        checksum=_checksum(settings, weights),
        task_head=_task_head(report["unexpected_keys"]),
    )


def load_tokenizer(encoder: EncoderConfig) -> PreTrainedTokenizerBase:
    """Load the encoder's own tokenizer.

    Raises:
        UserError: the tokenizer cannot be found, reached or read, or its vocabulary is not the
            encoder's: it is larger than the embedding, or less than half of it. (If the file of the
            vocabulary is missing or ignored, transformers 5 silently gives a vocabulary of special
            tokens only.)
    """
    source = source_of(encoder)
    with _quietly(encoder, source):
        rows = int(_load_config(encoder, source).vocab_size)
        if Path(source).is_dir():
            check_tokenizer(Path(source), encoder.name, rows)
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                source, revision=encoder.revision, trust_remote_code=False
            )
        except Exception as error:  # tokenizers and transformers raise what they like
            refuse(encoder, "tokenizer", error)
    check_vocabulary(encoder.name, len(tokenizer), rows)
    return tokenizer


def _load_config(encoder: EncoderConfig, source: str) -> PretrainedConfig:
    if Path(source).is_dir():
        read_config(Path(source), encoder.name)  # opens only plain files
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            source, revision=encoder.revision, trust_remote_code=False
        )
    except Exception as error:  # tokenizers and transformers raise what they like
        refuse(encoder, "configuration", error)
    check_architecture(config.to_dict(), encoder.name)
    if config.is_encoder_decoder or config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise UserError(
            f"{encoder.name!r} is a model of type {config.model_type}, not an encoder-only model",
            "Use a masked language model such as BERT, XLM-R or DistilBERT",
        )
    return config


def _check_max_length(encoder: EncoderConfig, model: PreTrainedModel) -> None:
    positions = int(getattr(model.config, "max_position_embeddings", encoder.max_length))
    table = dict(model.named_modules()).get("embeddings.position_embeddings")
    if isinstance(table, nn.Embedding) and table.padding_idx is not None:
        positions -= table.padding_idx + 1  # RoBERTa numbers positions from there
    check_max_length(encoder, positions)


def _check_finite(encoder: EncoderConfig, model: PreTrainedModel) -> None:
    """Refuse weights that are NaN or infinite, since every loss would be, too."""
    for name, parameter in model.named_parameters():
        wrong = parameter.numel() - int(torch.isfinite(parameter).sum())
        if wrong:
            raise UserError(
                f"the weights of {encoder.name!r} are broken: {wrong:,} of {parameter.numel():,} "
                f"numbers in {name} are NaN or infinite",
                "Copy them again, or save them again in float32: float16 overflows at 65,504.",
            )


def _task_head(unexpected: Iterable[str]) -> str:
    """Return the name of the first module for a task among weights that the encoder has not."""
    modules = sorted(name.partition(".")[0] for name in unexpected)
    return next((module for module in modules if module in TASK_HEADS), "")


def _embedding(model: PreTrainedModel) -> str:
    matrix = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is matrix)


def _checksum(config: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, array in sorted(weights.items()):
        digest.update(f"{name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of transformers in the context."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def _quietly(encoder: EncoderConfig, source: str) -> Iterator[None]:
    """Suppress progress bars and reports, and retries if the hub does not answer."""
    local = Path(source).is_dir()
    silent = not local and bool(ask("model", source, encoder.revision).silence)
    progress = logging.is_progress_bar_enabled()
    hub = getLogger("huggingface_hub")
    hub_level = hub.level
    hub.setLevel(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with offline(silent), quiet():
            yield
    finally:
        hub.setLevel(hub_level)
        if progress:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
