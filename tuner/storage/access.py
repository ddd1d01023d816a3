"""What is done on a storage, whatever it is: exclusive creation, replacing, listing, reading.

What goes wrong is told as a UserError.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, cast

from upath import UPath

from tuner.errors import StorageFull, UserError
from tuner.storage.folders import FULL, Place, sync
from tuner.storage.folders import write as write_atomically

LARGEST = 2**26
"""Bytes of a file that is read whole."""
_AT_ONCE = 16
_CONFLICTS = 5


@contextmanager
def reaching(where: Place) -> Iterator[None]:
    """Tell what goes wrong with a storage as a UserError.

    Raises:
        UserError: it cannot be reached, read or written.
        StorageFull: no space is left.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(where) from error
        raise _unusable(where, error.strerror or str(error)) from error
    except Exception as error:  # of botocore, aiohttp, google.auth: each has its own
        if isinstance(where, Path):
            raise
        raise _unusable(where, str(error)) from error


def create(path: Place, content: bytes) -> bool:
    """Write a new file, whole or not at all, and durably. Of several who create it, one can.

    Returns:
        Whether it is there with this content; False where another was there before.

    Raises:
        UserError: the storage cannot be used.
    """
    with reaching(path):
        if isinstance(path, Path):
            return _create_file(path, content)
        return _create_object(path, content)


def write(path: Place, content: bytes) -> None:
    """Write a file, durably; one that exists is replaced, and is at no moment half-written.

    Raises:
        UserError: the storage cannot be used.
    """
    with reaching(path):
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)


def remove(path: Place) -> None:
    """Remove a file, if it is there."""
    with reaching(path):
        path.unlink(missing_ok=True)


def listed(folder: Place) -> dict[str, str]:
    """Names of what is in a folder, each with a tag that changes when its content does.

    A folder that does not exist, or is a file, is empty.
    """
    with reaching(folder):
        try:
            if isinstance(folder, Path):
                found = {entry.name: entry.stat(follow_symlinks=False) for entry in _scan(folder)}
                return {
                    name: f"{s.st_ino}-{s.st_mtime_ns}-{s.st_size}" for name, s in found.items()
                }
            infos = _objects(folder).ls(folder.path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        names = ((PurePath(info["name"]).name, info) for info in infos)
        return {name: str(info.get("ETag") or info.get("etag")) for name, info in names}


def read(folder: Place, names: Iterable[str]) -> dict[str, bytes]:
    """The contents of files of a folder, many at once.

    Raises:
        UserError: one of them does not exist, or the storage cannot be used.
    """
    names = list(names)
    with reaching(folder):
        if isinstance(folder, Path):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                contents = pool.map(_content, [folder / name for name in names])
                return dict(zip(names, contents, strict=True))
        if not names:
            return {}
        found = _objects(folder).cat([(folder / name).path for name in names])
        return {PurePath(path).name: content for path, content in found.items()}


def modified(path: Place) -> float:
    """When a file was written last, by the clock of where it is. Unix time, seconds."""
    with reaching(path):
        if isinstance(path, Path):
            return path.stat().st_mtime
        return float(_objects(path).modified(path.path).timestamp())


def probe(folder: Place) -> float:
    """Try that files can be written to a folder, and be created by one alone; none is left.

    Returns:
        What the clock of the storage says, Unix time in seconds.

    Raises:
        UserError: it cannot be written to, or overwrites what was to be created.
    """
    path = folder / f".probe-{uuid.uuid4().hex}"
    create(path, b"1")
    try:
        now = modified(path)
        alone = not create(path, b"2")
    finally:
        remove(path)
    if not alone:
        raise UserError(
            f"the object store of {folder} overwrites what is to be created (it does not know "
            "If-None-Match): two drivers on one study could not be told apart",
            "Use another store, or a newer version of it: AWS S3 and Google Cloud Storage do.",
        )
    return now


def _content(path: Path) -> bytes:
    """Of a plain file: a pipe could never end, a link lead anywhere."""
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise UserError(f"{path} is no file of a study", "Restore it from a backup, or remove it.")
    return path.read_bytes()


def _create_file(path: Path, content: bytes) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = _staged(path, content)
    try:
        os.link(staged, path)  # fails where it exists, on NFS too, which a rename does not
    except FileExistsError:
        return path.read_bytes() == content  # NFS may repeat a request that it has done
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise UserError(
                f"{path.parent} is on a network file system without hard links, by which a driver "
                "makes sure that it is alone",
                "Keep the study on a local disk, on NFS, or in an object store (s3://, gs://).",
            ) from error
        raise
    finally:
        staged.unlink()
    sync(path.parent)
    return True


def _staged(path: Path, content: bytes) -> Path:
    """The content in a file of its own beside `path`, on the disk."""
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        staged.write_bytes(content)
        sync(staged)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    return staged


def _create_object(path: UPath, content: bytes) -> bool:
    objects = _objects(path)
    for attempt in range(_CONFLICTS):
        try:
            objects.pipe_file(path.path, content, mode="create")
            return True
        except Exception as error:
            try:  # it may have been ours, and only the answer was lost on the way
                return bool(objects.cat_file(path.path) == content)
            except FileNotFoundError:
                if getattr(error, "errno", None) != errno.EBUSY:
                    raise error from None
        time.sleep(0.1 * 2**attempt)  # on S3 someone else is at it in this moment
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _objects(path: UPath) -> Any:
    return cast(Any, path.fs)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _unusable(where: Place, reason: str) -> UserError:
    remedy = "See that it exists, and that you may read and write there."
    if not isinstance(where, Path):
        remedy = (
            "See that the bucket exists and can be reached, and that credentials for it are in "
            "the environment."
        )
    return UserError(f"{where} cannot be used: {' '.join(reason.split())[:300]}", remedy)
