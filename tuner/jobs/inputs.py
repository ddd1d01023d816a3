"""Inputs of a study that are on this machine: their files, and the paths where a job finds them.

The head unpacks a package to a folder that disappears with the job. A resumed study must find its
data under the same path, so the path is a hash of the contents: `FOLDER/HASH`, a link that each job
creates before it begins.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from tuner.errors import UserError
from tuner.jobs.package import Contents, plain_files
from tuner.study import StudyConfig
from tuner.study.columns import LANGUAGE
from tuner.study.data import DirectoryData, FilesData, HubData

FOLDER = "~/.cache/tuner/inputs"
"""The folder of inputs on the head."""
PART = "inputs"
"""The folder of inputs in the package."""
OF_FILES = ("data.train", "data.dev", "data.test")
"""Settings that name files, by patterns that may contain the language; others name folders."""


@dataclass(frozen=True)
class LocalInputs:
    """The inputs of one study.

    Attributes:
        settings: the study's settings, with paths that are valid on the cluster.
        contents: the files for the package.
        prepare: shell commands that link the inputs, to prefix to the job's own command; or "".
        notes: a line for each input that is packed or taken as a path of the cluster.
    """

    settings: dict[str, Any]
    contents: Contents
    prepare: str
    notes: tuple[str, ...]


def inputs_of(study: StudyConfig, settings: dict[str, Any]) -> LocalInputs:
    """Find the inputs of a study on this machine.

    Args:
        study: the study, validated here.
        settings: the same as plain values, before paths were made absolute.

    Raises:
        UserError: its storage is a relative folder, which would disappear with the job.
    """
    check_storage(settings)
    settings = copy.deepcopy(settings)
    contents: dict[str, Path] = {}
    places: dict[tuple[str, str], str] = {}  # paths below the folder of inputs, by block and key
    notes = []
    for (block, key), value in _paths(study).items():
        part = f"{block}.{key}"
        found = dict(_found(value, part, list(study.all_languages)))
        if found:
            contents |= found
            places[block, key] = f"{part}/{_below(value)}" if part in OF_FILES else part
            notes.append(f"{part}: {value} is packed")
        else:
            notes.append(f"{part}: {value} does not exist here, so the cluster's is used")
    if not places:
        return LocalInputs(settings, {}, "", tuple(notes))
    name = _hash(contents)
    for (block, key), place in places.items():
        _put(settings, block, key, f"{FOLDER}/{name}/{place}")
    link = f'mkdir -p {FOLDER} && ln -sfn "$PWD/{PART}" {FOLDER}/{name} && '
    packed = {f"{PART}/{place}": path for place, path in contents.items()}
    return LocalInputs(settings, packed, link, tuple(notes))


def elsewhere_of(study: StudyConfig, settings: dict[str, Any]) -> set[str]:
    """Return which of the blocks `data` and `encoder` refer to paths of the cluster.

    A path belongs to the cluster if it is absolute or begins with ~ and does not exist here. A
    relative path never does: on the cluster it would lead into the job's new folder.
    """
    return {
        block
        for (block, key), value in _paths(study).items()
        if _get(settings, block, key)[:1] in ("/", "~")
        and not any(
            Path(value.replace(LANGUAGE, language)).expanduser().exists()
            for language in study.all_languages
        )
    }


def check_storage(settings: dict[str, Any]) -> None:
    """Refuse a relative storage, since a job's working folder disappears with the job.

    Raises:
        UserError: the storage is relative.
    """
    storage = str(settings.get("storage", "studies"))
    if "://" in storage or storage.startswith("~") or PurePosixPath(storage).is_absolute():
        return
    raise UserError(
        f"storage: {storage} is a folder of this machine, but the study is kept on the cluster",
        "Name a place that every node reaches: --set storage=s3://bucket/studies (or gs://), or "
        "the absolute path of a disk that all nodes have mounted, such as --set "
        "storage=/mnt/shared/studies. If the cluster is one machine, any folder there will do: "
        "--set storage='~/studies'.",
    )


def _paths(study: StudyConfig) -> dict[tuple[str, str], str]:
    """Return settings that name files or folders, absolute or from ~, by block and key."""
    data = study.data
    found: dict[tuple[str, str], str] = {}
    match data:
        case DirectoryData():
            found["data", "path"] = str(data.path)
        case FilesData():
            found |= {("data", split): file.path for split, file in data.splits.items()}
        case HubData() if data.is_folder:
            found["data", "name"] = data.name
        case _:
            pass
    if study.encoder.is_folder:
        found["encoder", "name"] = study.encoder.name
    return found


def _get(settings: dict[str, Any], block: str, key: str) -> str:
    """Return a path in plain settings as the user wrote it."""
    value = settings.get(block, {}).get(key, "")
    return str(value["path"] if isinstance(value, dict) else value)


def _put(settings: dict[str, Any], block: str, key: str, path: str) -> None:
    """Replace a path in plain settings, whether the value is the path or a block with one."""
    values = settings.setdefault(block, {})
    if isinstance(values.get(key), dict):
        values[key]["path"] = path
    else:
        values[key] = path


def _found(value: str, part: str, languages: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield the local files that a path names, each with its path below the folder of inputs."""
    if part in OF_FILES:
        root = _root(value)
        for path in {Path(value.replace(LANGUAGE, language)) for language in languages}:
            if path.is_file():
                yield f"{part}/{path.relative_to(root).as_posix()}", path
        return
    folder = Path(value).expanduser().absolute()
    if not folder.is_dir():
        return
    inside = languages if part == "data.path" else ["."]
    for child in inside:
        for path in plain_files(folder / child):
            yield f"{part}/{path.relative_to(folder).as_posix()}", path


def _root(pattern: str) -> Path:
    """Return the folder above the first part of a path that contains the language, or the file."""
    fixed = list(takewhile(lambda part: LANGUAGE not in part, Path(pattern).parent.parts))
    return Path(*fixed)


def _below(pattern: str) -> str:
    """Return a path relative to its root."""
    return Path(pattern).relative_to(_root(pattern)).as_posix()


def _hash(contents: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for place, path in sorted(contents.items()):
        with path.open("rb") as file:
            digest.update(f"{place}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:16]
