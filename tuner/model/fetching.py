"""Encoders on the hub: fetch their configuration and weight headers, and explain failures.

This module translates errors of the hub and of transformers into our words, each with a remedy.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

from tuner.data.hub import ask, offline
from tuner.errors import UserError
from tuner.model.files import (
    FILES,
    INDEX,
    SAVE_AGAIN,
    WHOLE,
    likely_folder,
    raise_unloadable,
    read_json,
)
from tuner.study.parts import EncoderConfig


class HubAway(UserError):
    """The hub cannot be reached, and the encoder is not in the cache."""


def fetched(encoder: EncoderConfig) -> tuple[Path, dict[str, list[int]] | None]:
    """Fetch an encoder's configuration and shapes from the hub or its cache, without its weights.

    Returns:
        A folder with config.json; and the shapes of the weights by name, or None if the folder has
        the weights themselves.

    Raises:
        UserError: the encoder cannot be found or read.
        HubAway: the hub may have the encoder, but does not answer.
    """
    name, revision = encoder.name, encoder.revision
    part, silence = "configuration", _silence(encoder)
    with offline(bool(silence)):
        try:
            file = huggingface_hub.hf_hub_download(name, "config.json", revision=revision)
            folder, part = Path(file).parent, "weights"
            if _has_weights(folder):
                return folder, None
            if silence:
                raise LocalEntryNotFoundError(f"the hub {silence}")
            headers = huggingface_hub.HfApi().get_safetensors_metadata(name, revision=revision)
        except Exception as error:  # the hub's libraries raise what they like
            refuse(encoder, part, error)
    shapes = {
        key: list(tensor.shape)
        for header in headers.files_metadata.values()
        for key, tensor in header.tensors.items()
    }
    return folder, shapes


def _has_weights(folder: Path) -> bool:
    """Return whether all files of the weights are in the cache."""
    if (folder / WHOLE).exists():
        return True
    if not (folder / INDEX).exists():
        return False
    shards = read_json(folder / INDEX, str(folder), "weights").get("weight_map")
    names = shards.values() if isinstance(shards, dict) else []
    return all((folder / str(name)).exists() for name in names)


def refuse(encoder: EncoderConfig, part: str, error: Exception) -> NoReturn:
    """Raise an error that says what is wrong with a part of an encoder, whichever library raised.

    Raises:
        UserError: always.
    """
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    if any(isinstance(each, LocalEntryNotFoundError) for each in (error, error.__cause__)):
        problem = "the Hugging Face hub cannot be reached and it is not in the local cache"
        remedy = (
            "Connect to the hub once, unset HF_HUB_OFFLINE, or set encoder.name to a folder with "
            f"{FILES}"
        )
        message = f"the {part} of {encoder.name!r} cannot be loaded: {problem}"
        if hint := likely_folder(encoder.name):
            raise UserError(f"{message}; {hint}", remedy) from error
        raise HubAway(message, remedy) from error
    if isinstance(error, UserError):
        raise error
    try:
        raise_unloadable(encoder.name, part, reason, _remedy(error, reason))
    except UserError as refusal:
        raise refusal from error


def _remedy(error: Exception, reason: str) -> str:
    """Return the remedy for an error of the libraries that load encoders."""
    text = str(error)
    if isinstance(error, GatedRepoError):
        return "Ask for access on the model's page of the hub, then give your token in HF_TOKEN."
    if isinstance(error, EntryNotFoundError):
        return (
            "Its repository on the hub lacks the file. Choose a revision that has it "
            "(encoder.revision), or another encoder."
        )
    if "trust_remote_code" in text:
        return "Code from a model's repository is never run: choose another encoder."
    if "sentencepiece" in text.lower() or "tiktoken" in text.lower():
        return "Install the packages that read its vocabulary: pip install sentencepiece tiktoken"
    if isinstance(error, ImportError):
        return "Install the package that the message names, where this program runs."
    if "ignore_mismatched_sizes" in text or "size mismatch" in text:
        return "config.json and the weights are from different models: copy both from the same one."
    if "model type" in text and "recognize" in text:
        return "This version of transformers does not have it: choose another encoder."
    if isinstance(error, MemoryError):
        return "Choose a smaller encoder, or a machine with more memory."
    return f"{SAVE_AGAIN} A folder holds {FILES}."


def _silence(encoder: EncoderConfig) -> str:
    """Return why the hub does not answer about an encoder; empty if it has the encoder.

    Raises:
        UserError: the hub answers that it does not have the encoder.
    """
    try:
        return ask("model", encoder.name, encoder.revision).silence
    except UserError as error:
        hint = likely_folder(encoder.name)
        if hint:
            raise UserError(f"{error.problem}; {hint}", error.remedy) from error
        raise
