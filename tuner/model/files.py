"""Reading and checking an encoder's files, without torch.

A folder may come from anywhere, so nothing in it is trusted: only plain files of a plausible size
are opened, and none outside the folder, whatever an index says.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open

from tuner.errors import UserError

FILES = "config.json, model.safetensors, tokenizer.json (or vocab.txt and tokenizer_config.json)"
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"
TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
)
"""Files that hold a vocabulary; one of them is enough."""
LARGEST_JSON, LARGEST_VOCABULARY = 2**24, 2**29
"""Most bytes of a configuration or an index, and of a tokenizer."""
LFS = b"version https://git-lfs"
"""The first bytes of a pointer file that Git LFS leaves in place of a large one."""
SAVE_AGAIN = "Save model and tokenizer again with save_pretrained, or copy all files again."

CONVERT = (
    'python -c "from transformers import AutoModel, AutoTokenizer; '
    "AutoModel.from_pretrained('{old}').save_pretrained('{new}'); "
    "AutoTokenizer.from_pretrained('{old}').save_pretrained('{new}')\""
)


def raise_unloadable(name: str, part: str, reason: str, remedy: str) -> NoReturn:
    """Raise an error that says what is wrong with a part of an encoder.

    Raises:
        UserError: always.
    """
    raise UserError(f"the {part} of {name!r} cannot be loaded: {reason}", remedy)


def read_json(file: Path, name: str, part: str) -> dict[str, Any]:
    """Read a JSON file of an encoder.

    Args:
        file: the file to read.
        name: the encoder's name, as the user gave it.
        part: the part of the encoder that the file holds, for the error message.

    Raises:
        UserError: the file is missing, cannot be read, or is not one plain JSON object.
    """
    check_plain(file, name, part, LARGEST_JSON)
    try:
        value = json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=_distinct)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise_unloadable(name, part, f"{file.name} is not UTF-8", "Save it as UTF-8.")
    except UnicodeEncodeError:
        reason = f"{file.name} holds half a character, such as \\ud800"
        raise_unloadable(
            name, part, reason, "Remove it from the file, or write the whole character."
        )
    except RecursionError:
        raise_unloadable(name, part, f"{file.name} is nested too deep", SAVE_AGAIN)
    except ValueError as error:
        raise_unloadable(name, part, f"{file.name} is not JSON: {error}", SAVE_AGAIN)
    if not isinstance(value, dict):
        raise_unloadable(name, part, f"{file.name} is not a JSON object", SAVE_AGAIN)
    return value


def read_shapes(folder: Path, name: str) -> dict[str, list[int]]:
    """Read the shapes of all weights in a folder, by name, from the headers of their files.

    Raises:
        UserError: the weights are missing, not safetensors, broken, or outside the folder.
    """
    shapes: dict[str, list[int]] = {}
    for file in _weight_files(folder, name):
        check_plain(file, name, "weights", None)
        try:
            with safe_open(file, framework="numpy") as opened:
                found = {key: opened.get_slice(key).get_shape() for key in opened.keys()}  # noqa: SIM118 (it is not a dict)
        except (SafetensorError, OSError, ValueError) as error:
            raise_unloadable(
                name, "weights", f"{file.name} is not whole: {_first_line(error)}", SAVE_AGAIN
            )
        shapes |= found
    if not shapes:
        raise_unloadable(name, "weights", "they hold no tensor", SAVE_AGAIN)
    return shapes


def check_tokenizer(folder: Path, name: str, rows: int | None) -> None:
    """Check that a folder holds a tokenizer, and that its vocabulary may be the encoder's.

    Args:
        folder: the encoder's folder.
        name: the encoder's name, as the user gave it.
        rows: rows of the encoder's embedding; None if its configuration does not say.

    Raises:
        UserError: the tokenizer is missing, broken, or another encoder's.
    """
    there = [folder / file for file in TOKENIZERS if (folder / file).exists()]
    if not there:
        reason = f"{folder} has none of {', '.join(TOKENIZERS)}"
        raise_unloadable(
            name, "tokenizer", reason, f"Copy the encoder's own tokenizer there: {FILES}."
        )
    for file in there:
        check_plain(file, name, "tokenizer", LARGEST_VOCABULARY)
    entries = None
    if there[0].name == "tokenizer.json":
        from tokenizers import Tokenizer  # without torch

        try:
            entries = Tokenizer.from_file(str(there[0])).get_vocab_size()
        except Exception as error:  # the library raises nothing more specific
            reason = f"tokenizer.json does not hold a tokenizer: {_first_line(error)}"
            raise_unloadable(name, "tokenizer", reason, SAVE_AGAIN)
    elif there[0].name == "vocab.txt":
        entries = len(there[0].read_bytes().splitlines())
    if entries is not None and rows is not None:
        check_vocabulary(name, entries, rows)


def check_vocabulary(name: str, entries: int, rows: int) -> None:
    """Refuse a vocabulary that is larger than the encoder's embedding, or less than half of it.

    Raises:
        UserError: the vocabulary is too large or too small.
    """
    if not rows / 2 <= entries <= rows:
        raise UserError(
            f"the tokenizer of {name!r} has {entries:,} entries for an embedding of "
            f"{rows:,} rows, so it is not this encoder's",
            f"the encoder's folder must hold its own tokenizer: {FILES}",
        )


def check_plain(file: Path, name: str, part: str, most: int | None) -> None:
    """Refuse a file that is missing, not plain, unreadable, larger than `most`, or an LFS pointer.

    Raises:
        UserError: the file is refused.
    """
    try:
        found = file.stat()  # follows links: the hub's cache is made of them
    except OSError as error:
        if not file.is_symlink() and isinstance(error, FileNotFoundError):
            raise_unloadable(name, part, *_missing(file))
        raise_unloadable(name, part, f"{file.name} cannot be opened: {error.strerror}", SAVE_AGAIN)
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise_unloadable(name, part, f"{file.name} is {kind}, not a file", SAVE_AGAIN)
    if most is not None and found.st_size > most:
        reason = f"{file.name} has {found.st_size / 1e6:,.0f} MB, more than {most / 1e6:,.0f}"
        raise_unloadable(name, part, reason, SAVE_AGAIN)
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(LFS))
    except OSError as error:
        remedy = f"Give yourself permission to read it: chmod u+r {file}"
        raise_unloadable(name, part, f"{file.name} cannot be read: {error.strerror}", remedy)
    if begins == LFS:
        reason = f"{file.name} is only Git LFS's pointer to the file"
        raise_unloadable(
            name, part, reason, f"Fetch the files themselves: git -C {file.parent} lfs pull"
        )


def likely_folder(name: str) -> str:
    """Return a hint if a name that looks like a hub id may be a misspelt folder; else empty."""
    path = Path(name)
    if path.is_file():
        return f"{name} is a file here: name the folder that holds it"
    try:
        beside = [child.name for child in path.parent.iterdir() if child.is_dir()]
    except OSError:  # there is no such folder
        return ""
    near = get_close_matches(path.name, beside, n=1, cutoff=0.75)
    if near:
        return f"did you mean the folder {path.parent / near[0]}?"
    if len(path.parts) > 1:
        holds = ", ".join(sorted(beside)[:5]) or "none"
        return f"{path.parent} is a folder here, and has no folder {path.name} (it has: {holds})"
    return ""


def _weight_files(folder: Path, name: str) -> list[Path]:
    """Return the files of weights that transformers would load."""
    if (folder / WHOLE).exists() or (folder / WHOLE).is_symlink():
        return [folder / WHOLE]
    index = folder / INDEX
    if not index.exists():
        raise_unloadable(name, "weights", *_missing(folder / WHOLE))
    shards = read_json(index, name, "weights").get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise_unloadable(name, "weights", f"{INDEX} has no weight_map", SAVE_AGAIN)
    names: Iterable[Any] = dict.fromkeys(map(str, shards.values()))
    for shard in names:
        if not re.fullmatch(r"[\w.-]+\.safetensors", shard):
            reason = f"{INDEX} names {shard!r}, which is not a safetensors file in the folder"
            raise_unloadable(name, "weights", reason, SAVE_AGAIN)
    return [folder / shard for shard in names]


def _missing(file: Path) -> tuple[str, str]:
    """Return why a file is missing, and the remedy."""
    folder = file.parent
    reason = f"there is no {file.name} in {folder}"
    children = {child.name for child in folder.iterdir()}
    if "adapter_config.json" in children:
        return (
            f"{folder} holds only an adapter (PEFT), not the encoder it belongs to",
            "Merge the two and save the result: model.merge_and_unload().save_pretrained(FOLDER), "
            "with the tokenizer.",
        )
    if "modules.json" in children:  # the folder is a model of sentence-transformers
        for child in sorted(children):
            if (folder / child / "config.json").is_file() and _is_transformer(folder, child):
                return (
                    f"{folder} is a model of sentence-transformers, which keeps its encoder in "
                    f"{child}",
                    f"Set encoder.name to {folder / child}",
                )
    if file.name == WHOLE:
        if any(child.endswith(".bin") and "model" in child for child in children):
            return (
                f"{reason}, only weights in pickle, which can hold any program and are not read",
                f"If you trust it, convert it: {CONVERT.format(old=folder, new=f'{folder}-new')}",
            )
        if children & {"tf_model.h5", "flax_model.msgpack"}:
            return (
                f"{reason}, only weights of TensorFlow or Flax",
                "Choose a checkpoint that was saved by PyTorch.",
            )
    nested = [child for child in sorted(children) if (folder / child / "config.json").is_file()]
    if nested:
        return reason, f"{folder / nested[0]} has a config.json: set encoder.name to it"
    return reason, f"Copy it there: an encoder's folder holds {FILES}."


def _is_transformer(folder: Path, child: str) -> bool:
    """Return whether a module of sentence-transformers is the encoder.

    Its pooling module has no model type.
    """
    return "model_type" in read_json(folder / child / "config.json", str(folder), "configuration")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:50]!r} is given twice")
        found[key] = value
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def texts(value: object) -> list[str]:
    """Return the strings in a list of a configuration; an empty list if it is not a list."""
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
