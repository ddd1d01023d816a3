"""Folders of a study on a local or network file system, or in an object store.

A place is a `pathlib.Path`, or a `upath.UPath` for a URL such as `s3://bucket/studies`. Files pass
through a local folder on their way to and from an object store, so callers always work with local
files. An object store has no renames: a folder there is complete once its last file is.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from safetensors import SafetensorError
from upath import UPath

from tuner.errors import StorageFull

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Place: TypeAlias = Path | UPath

PARTIAL = ".partial"
"""Name of a folder that is being written, beside its target."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for a full device, an exhausted quota and too large a file."""


def is_remote(place: Place) -> TypeIs[UPath]:
    """Return whether a place is in an object store."""
    return not isinstance(place, Path)


@contextmanager
def written(target: Place, last: str) -> Iterator[Path]:
    """Yield a local folder to fill; after the block it becomes `target`, whole or not at all.

    Args:
        target: the folder to write; an existing one is replaced.
        last: the file whose presence tells readers that all others are there.

    Raises:
        StorageFull: no space is left; the partial folder is removed.
    """
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="tuner-") as name:
            partial = Path(name)
            with reporting_full_storage(partial):
                yield partial
            remove(target, last)
            for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
                target.fs.put_file(str(path), (target / path.name).path)
        return
    partial = target.parent / PARTIAL
    with reporting_full_storage(target.parent):
        try:
            remove(partial)
            partial.mkdir(parents=True)
            yield partial
            for path in (*partial.iterdir(), partial):
                sync(path)
            remove(target, last)
            os.replace(partial, target)
            sync(target.parent)
        except BaseException:
            with suppress(OSError):
                remove(partial)
            raise


@contextmanager
def fetched(folder: Place, names: Sequence[str]) -> Iterator[Path]:
    """Yield a local folder with these files of `folder`; memory maps of them outlive the block.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is a link or a device: nothing outside the folder is read.
    """
    if is_remote(folder):
        with tempfile.TemporaryDirectory(prefix="tuner-") as temporary:
            with reporting_full_storage(Path(temporary)):
                for name in names:
                    folder.fs.get_file((folder / name).path, f"{temporary}/{name}")
            yield Path(temporary)
        return
    for path in (folder, *(folder / name for name in names)):
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or (path == folder and stat.S_ISDIR(mode))):
            raise ValueError(f"{path} is not a regular file")
    yield folder


def names_in(folder: Place) -> list[str]:
    """Return the names in a folder, sorted; none if the folder is missing."""
    if is_remote(folder):
        folder.fs.invalidate_cache()  # other machines write there
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(place: Place, first: str = "") -> None:
    """Remove a folder with its contents, or a file; a link is removed, not followed.

    Args:
        place: the folder or file; it may be missing.
        first: a file in it to remove first: without it, readers take the folder for incomplete.

    Raises:
        OSError: something cannot be removed.
    """
    if is_remote(place):
        place.fs.invalidate_cache()
        if first and place.fs.exists((place / first).path):
            place.fs.rm_file((place / first).path)
        if place.fs.exists(place.path):
            place.fs.rm(place.path, recursive=True)
        return
    try:
        is_folder = stat.S_ISDIR(os.lstat(place).st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        place.unlink(missing_ok=True)
        return
    if first:
        (place / first).unlink(missing_ok=True)
    shutil.rmtree(place, onerror=_unless_gone)


def copy(source: Place, target: Place) -> None:
    """Copy a file that never changes: as a hard link, which takes no space, if possible.

    Raises:
        OSError: a file cannot be read or written.
        StorageFull: no space is left.
    """
    if is_remote(target):
        assert is_remote(source)
        source.fs.cp_file(source.path, target.path)
        return
    assert not is_remote(source)
    with reporting_full_storage(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # hard links are not supported there
            shutil.copyfile(source, target)
        sync(target)
        sync(target.parent)


def write_atomically(place: Place, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        StorageFull: no space is left.
    """
    if is_remote(place):
        place.fs.pipe_file(place.path, content)
        return
    with reporting_full_storage(place.parent):
        partial = place.with_name(f"{PARTIAL}-{place.name}")
        remove(partial)  # an existing link would redirect the write
        try:
            partial.write_bytes(content)
            sync(partial)
            os.replace(partial, place)
        except BaseException:
            with suppress(OSError):  # the first error is the one to raise
                partial.unlink(missing_ok=True)
            raise
        sync(place.parent)


def sync(path: Path) -> None:
    """Make the operating system write a file or folder to its disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reporting_full_storage(where: Path) -> Iterator[None]:
    """Raise StorageFull if the block finds no space left."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(where) from error
        raise
    except SafetensorError as error:  # it has the error number only in its message
        if any(f"(os error {number})" in str(error) for number in FULL):
            raise StorageFull(where) from error
        raise


def _unless_gone(function: Callable[..., Any], path: str, error: Any) -> None:
    """Raise the error met while removing a folder, unless something was already removed."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
