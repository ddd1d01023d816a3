"""File operations that work on every storage: exclusive creation, replacing, listing, reading.

Failures of the storage are raised as UserError.
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
from tuner.storage.folders import FULL, Place, sync, write_atomically

LARGEST = 2**26
"""The largest file in bytes that is read whole."""
_AT_ONCE = 16
_CONFLICTS = 5


@contextmanager
def reaching(where: Place) -> Iterator[None]:
    """Raise failures of a storage in the block as UserError.

    Raises:
        UserError: the storage cannot be reached, read or written.
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
    except Exception as error:  # botocore, aiohttp and google.auth have their own exceptions
        if isinstance(where, Path):
            raise
        raise _unusable(where, str(error)) from error


def create(path: Place, content: bytes) -> bool:
    """Write a new file durably, whole or not at all. If several processes try, only one succeeds.

    Returns:
        True if the file now has this content; False if another one existed before.

    Raises:
        UserError: the storage cannot be used.
    """
    with reaching(path):
        if isinstance(path, Path):
            return _create_file(path, content)
        return _create_object(path, content)


def write(path: Place, content: bytes) -> None:
    """Write a file durably, replacing an existing one; it is never half-written.

    Raises:
        UserError: the storage cannot be used.
    """
    with reaching(path):
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)


def remove(path: Place) -> None:
    """Remove a file if it exists."""
    with reaching(path):
        path.unlink(missing_ok=True)


def listed(folder: Place) -> dict[str, str]:
    """Return the names in a folder, each with a tag that changes when its content does.

    A missing folder, or a file in its place, counts as empty.
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
    """Read files of a folder, many at a time, and return their contents by name.

    Raises:
        UserError: a file does not exist, or the storage cannot be used.
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
    """Return when a file was last written, by its storage's clock: Unix time in seconds."""
    with reaching(path):
        if isinstance(path, Path):
            return path.stat().st_mtime
        return float(_objects(path).modified(path.path).timestamp())


def probe(folder: Place) -> float:
    """Check that a folder is writable and that a file in it can be created only once.

    The test file is removed.

    Returns:
        The current time of the storage's clock: Unix time in seconds.

    Raises:
        UserError: the folder is not writable, or a second creation overwrites the file.
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
            f"the object store of {folder} overwrites an object instead of refusing to create it "
            "again (it ignores If-None-Match), so two drivers could work on one study",
            "Use another store, or a newer version of it: AWS S3 and Google Cloud Storage do.",
        )
    return now


def _content(path: Path) -> bytes:
    """Read a regular file; refuse others: a pipe may never end, a link may lead anywhere."""
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise UserError(
            f"{path} is not a file of a study", "Restore it from a backup, or remove it."
        )
    return path.read_bytes()


def _create_file(path: Path, content: bytes) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = _staged(path, content)
    try:
        os.link(staged, path)  # unlike a rename, fails if `path` exists, on NFS too
    except FileExistsError:
        return path.read_bytes() == content  # NFS may repeat a request that has succeeded
    except OSError as error:
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise UserError(
                f"{path.parent} is on a network file system without hard links, which a driver "
                "needs to make sure that no other driver works on the study",
                "Keep the study on a local disk, on NFS, or in an object store (s3://, gs://).",
            ) from error
        raise
    finally:
        staged.unlink()
    sync(path.parent)
    return True


def _staged(path: Path, content: bytes) -> Path:
    """Write the content durably to a temporary file beside `path`, and return that file."""
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
            try:  # our write may have succeeded, with only the answer lost
                return bool(objects.cat_file(path.path) == content)
            except FileNotFoundError:
                if getattr(error, "errno", None) != errno.EBUSY:
                    raise error from None
        time.sleep(0.1 * 2**attempt)  # on S3, another writer is creating the object right now
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def _objects(path: UPath) -> Any:
    return cast(Any, path.fs)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _unusable(where: Place, reason: str) -> UserError:
    remedy = "Check that it exists, and that you may read and write there."
    if not isinstance(where, Path):
        remedy = (
            "Check that the bucket exists and can be reached, and that the environment has "
            "credentials for it."
        )
    return UserError(f"{where} cannot be used: {' '.join(reason.split())[:300]}", remedy)
