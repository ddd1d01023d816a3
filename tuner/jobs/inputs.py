"""What of a study's data and encoder lies on this machine, and where a job finds it.

On the head a package is unpacked to a folder that goes with the job. A study that is resumed must
find its data under the same path, so the path is made of their contents: `FOLDER/HASH`, a link that
each job puts in place before it begins.
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
"""On the head."""
PART = "inputs"
"""In the package."""
OF_FILES = ("data.train", "data.dev", "data.test")
"""Settings that name files, in which a language may stand for a part; others name folders."""


@dataclass(frozen=True)
class Inputs:
    """Of one study.

    Attributes:
        settings: the study's, with the paths that hold there.
        contents: for the package.
        prepare: shell commands that put them in place, to be followed by the job's own; or "".
        told: what is packed, and what is taken as the cluster's own, a line each.
    """

    settings: dict[str, Any]
    contents: Contents
    prepare: str
    told: tuple[str, ...]


def inputs_of(study: StudyConfig, settings: dict[str, Any]) -> Inputs:
    """Find what a study needs of this machine.

    Args:
        study: validated here.
        settings: the same as plain values, before paths were made absolute.

    Raises:
        UserError: its storage is a folder that would go with the job.
    """
    check_storage(settings)
    settings = copy.deepcopy(settings)
    contents: dict[str, Path] = {}
    places: dict[tuple[str, str], str] = {}  # by key of the settings: below the folder of inputs
    told = []
    for (block, key), value in _paths(study).items():
        part = f"{block}.{key}"
        found = dict(_found(value, part, list(study.all_languages)))
        if found:
            contents |= found
            places[block, key] = f"{part}/{_below(value)}" if part in OF_FILES else part
            told.append(f"{part}: {value} is packed")
        else:
            told.append(f"{part}: {value} is not here, so it is taken as a path of the cluster")
    if not places:
        return Inputs(settings, {}, "", tuple(told))
    name = _hash(contents)
    for (block, key), place in places.items():
        _put(settings, block, key, f"{FOLDER}/{name}/{place}")
    link = f'mkdir -p {FOLDER} && ln -sfn "$PWD/{PART}" {FOLDER}/{name} && '
    packed = {f"{PART}/{place}": path for place, path in contents.items()}
    return Inputs(settings, packed, link, tuple(told))


def elsewhere_of(study: StudyConfig, settings: dict[str, Any]) -> set[str]:
    """The blocks of settings, of data and encoder, that are not here as a whole.

    A path in them is written absolute, or from ~, and nothing is there: it is the cluster's own. A
    relative path is not: on the cluster it would lead into the job's folder, which is new.
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
    """Refuse a storage that is relative: a job's working folder goes with the job.

    Raises:
        UserError: it is.
    """
    storage = str(settings.get("storage", "studies"))
    if "://" in storage or storage.startswith("~") or PurePosixPath(storage).is_absolute():
        return
    raise UserError(
        f"storage: {storage} is a folder of this machine, and the study is to live on the cluster",
        "Name a place that every node reaches: --set storage=s3://bucket/studies (or gs://), or "
        "the absolute path of a disk that all have mounted, as --set storage=/mnt/shared/studies. "
        "Where the cluster is one machine, any folder of it will do: --set storage='~/studies'.",
    )


def _paths(study: StudyConfig) -> dict[tuple[str, str], str]:
    """What names a file or folder, by block and key: absolute, or from ~."""
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
    """A path in plain settings, as it was written."""
    value = settings.get(block, {}).get(key, "")
    return str(value["path"] if isinstance(value, dict) else value)


def _put(settings: dict[str, Any], block: str, key: str, path: str) -> None:
    """Change a path in plain settings, where it stands alone or in a block of its own."""
    values = settings.setdefault(block, {})
    if isinstance(values.get(key), dict):
        values[key]["path"] = path
    else:
        values[key] = path


def _found(value: str, part: str, languages: list[str]) -> Iterator[tuple[str, Path]]:
    """The files here that a path stands for, by where they go below the folder of inputs."""
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
    """The folder above the first part of a path that differs by language, or above the file."""
    fixed = list(takewhile(lambda part: LANGUAGE not in part, Path(pattern).parent.parts))
    return Path(*fixed)


def _below(pattern: str) -> str:
    """What of a path comes after its root."""
    return Path(pattern).relative_to(_root(pattern)).as_posix()


def _hash(contents: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for place, path in sorted(contents.items()):
        with path.open("rb") as file:
            digest.update(f"{place}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:16]
