"""The checks of an encoder's config.json: the numbers it has to hold, and the kinds refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tuner.errors import UserError
from tuner.model.architectures import ENCODERS, check_architecture
from tuner.model.files import raise_unloadable, texts

LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
HIDDEN = ("hidden_size", "dim", "emb_dim", "d_model", "n_embd")
"""Keys that configurations use for these numbers; the second is DistilBERT's, the third XLM's."""
UPPER_LIMITS = {"layers": 1_000, "hidden": 2**17, "vocabulary": 2**24, "positions": 2**24}
"""Largest numbers accepted; with larger ones the encoder's tables alone would fill the memory."""
SEEN_LANGUAGES = "seen_languages"
"""The key that `tuner.run.export` adds to the configuration, so it stays with the encoder."""
OFFSET = {
    *("roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "xmod"),
    *("data2vec-text", "ibert", "longformer", "mpnet", "esm", "luke", "mluke"),
}
"""Model types that number positions from `pad_token_id` + 1, as RoBERTa does."""
GENERATES = re.compile(r"ForCausalLM|ForConditionalGeneration|^(?!XLNet|.*With).*LMHeadModel")
LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,34}")


def check_kind(config: Mapping[str, object], name: str) -> None:
    """Refuse a model whose configuration alone shows that it cannot be trained here.

    Args:
        config: the contents of config.json.
        name: the encoder's name, as the user gave it.

    Raises:
        UserError: the model has a decoder or generates text, is quantised, or needs custom code;
            its architecture is refused; or the configuration is invalid.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        reason = f"config.json must name a model_type, got {kind!r}"
        raise_unloadable(name, "configuration", reason, ENCODERS)
    check_architecture(config, name)
    written = texts(config.get("architectures"))
    generates = next((each for each in written if GENERATES.search(each)), None)
    if config.get("is_encoder_decoder") is True or generates:
        why = f"{generates} generates text" if generates else "it has a decoder"
        raise UserError(
            f"{name!r} is a model of type {kind}, not an encoder-only model: {why}", ENCODERS
        )
    if isinstance(quantised := config.get("quantization_config"), Mapping):
        method = quantised.get("quant_method") or "an unnamed method"
        reason = f"its weights are quantised by {method}, and quantised weights cannot be trained"
        raise_unloadable(name, "weights", reason, "Use the checkpoint that it was quantised from.")
    if _needs_code(config, kind):
        reason = (
            f"the model type {kind} needs code that comes with it (auto_map), and code from a "
            "model's folder is never run"
        )
        remedy = f"Use an encoder whose architecture transformers has itself. {ENCODERS}"
        raise_unloadable(name, "configuration", reason, remedy)
    seen_languages(config, name)


class Numbers(NamedTuple):
    """The numbers needed from a configuration; an optional one is None if the key is missing."""

    layers: int
    hidden: int
    rows: int | None
    positions: int | None


def numbers_of(config: Mapping[str, object], name: str) -> Numbers:
    """Read the numbers of layers, channels, rows of the embedding, and tokens an encoder takes.

    Raises:
        UserError: a number is missing, or is not a whole number of a plausible size.
    """
    return Numbers(
        _number(config, LAYERS, UPPER_LIMITS["layers"], name),
        _number(config, HIDDEN, UPPER_LIMITS["hidden"], name),
        _optional(config, "vocab_size", UPPER_LIMITS["vocabulary"], name),
        positions_of(config, name),
    )


def _number(config: Mapping[str, object], names: tuple[str, ...], most: int, name: str) -> int:
    """Read a whole number of a configuration, under the first of some keys that it has.

    Raises:
        UserError: all of the keys are missing, or the value is not a whole number from 1 to `most`.
    """
    key = next((key for key in names if config.get(key) is not None), None)
    if key is None:
        reason = f"config.json has no {names[0]}, so it is not an encoder's"
        raise_unloadable(name, "configuration", reason, ENCODERS)
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        reason = f"{key} in config.json must be a whole number from 1 to {most:,}, got {value!r}"
        raise_unloadable(
            name, "configuration", reason[:300], "Copy the encoder's own config.json there."
        )
    return value


def _optional(config: Mapping[str, object], key: str, most: int, name: str) -> int | None:
    """Read a whole number under a key that not every encoder has; None if it is missing."""
    return None if config.get(key) is None else _number(config, (key,), most, name)


def positions_of(config: Mapping[str, object], name: str) -> int | None:
    """Return how many tokens an encoder takes; None if its configuration sets no limit.

    Raises:
        UserError: the configured value is not a whole number of a plausible size.
    """
    absolute = config.get("max_position_embeddings") is not None
    key = "max_position_embeddings" if absolute else "n_positions"
    positions = _optional(config, key, UPPER_LIMITS["positions"], name)
    padding = config.get("pad_token_id")
    if positions is None or config.get("model_type") not in OFFSET or not isinstance(padding, int):
        return positions
    return max(positions - padding - 1, 1)


def seen_languages(config: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Return the languages that an encoder exported from a study was fine-tuned or chosen on.

    Raises:
        UserError: the value is not a list of language codes.
    """
    seen = config.get(SEEN_LANGUAGES)
    if seen is None:
        return ()
    codes = [code for code in texts(seen) if LANGUAGE.fullmatch(code)]
    if codes != seen:
        reason = f"{SEEN_LANGUAGES} in config.json must be a list of language codes, got {seen!r}"
        remedy = f'Write it as ["en", "de"]; without it {name} counts as trained on no language.'
        raise_unloadable(name, "configuration", reason[:300], remedy)
    return tuple(codes)


def _needs_code(config: Mapping[str, object], kind: str) -> bool:
    """Return whether the model comes with code, and transformers has none for its type."""
    if not isinstance(config.get("auto_map"), Mapping):
        return False
    found = find_spec("transformers")  # not imported: importing takes seconds
    assert found is not None and found.submodule_search_locations
    models = Path(found.submodule_search_locations[0]) / "models"
    folders = {kind, kind.replace("-", "_"), kind.replace("-", "").replace("_", "")}
    return not any(re.fullmatch(r"\w+", each) and (models / each).is_dir() for each in folders)
