"""Folders where a study is kept: on a local or network file system, or in an object store.

A place is a `pathlib.Path`, or a `upath.UPath` where it has a URL such as `s3://bucket/studies`.
Files pass through a local folder on their way to an object store and back, so that whoever writes
and reads them does so alike. There, nothing is renamed: a folder is whole when its last file is.
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
"""Name beside its target of a folder that is being written."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left on the device, in the quota, for a file of this size."""


def is_remote(place: Place) -> TypeIs[UPath]:
    """Whether it is in an object store."""
    return not isinstance(place, Path)


@contextmanager
def written(target: Place, last: str) -> Iterator[Path]:
    """A local folder to fill; at the end of the block it is `target`, whole or not at all.

    Args:
        target: the folder to be; it is replaced where it exists.
        last: the file by which readers know that all others are there.

    Raises:
        StorageFull: no space is left; nothing of it stays.
    """
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="tuner-") as name:
            partial = Path(name)
            with full_told(partial):
                yield partial
            remove(target, last)
            for path in sorted(partial.iterdir(), key=lambda path: path.name == last):
                target.fs.put_file(str(path), (target / path.name).path)
        return
    partial = target.parent / PARTIAL
    with full_told(target.parent):
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
    """A local folder with these files of `folder`; what is mapped into memory outlives the block.

    Raises:
        FileNotFoundError: one is missing.
        ValueError: one is a link or a device: nothing outside the folder is read.
    """
    if is_remote(folder):
        with tempfile.TemporaryDirectory(prefix="tuner-") as temporary:
            with full_told(Path(temporary)):
                for name in names:
                    folder.fs.get_file((folder / name).path, f"{temporary}/{name}")
            yield Path(temporary)
        return
    for path in (folder, *(folder / name for name in names)):
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or (path == folder and stat.S_ISDIR(mode))):
            raise ValueError(f"{path} is no plain file")
    yield folder


def names_in(folder: Place) -> list[str]:
    """What is in a folder, sorted; nothing where there is none."""
    if is_remote(folder):
        folder.fs.invalidate_cache()  # others write there
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(place: Place, first: str = "") -> None:
    """Remove a folder with all that is in it, or a file; a link is removed, not followed.

    Args:
        place: what need not exist.
        first: a file in it that goes first: without it, readers take the folder for incomplete.

    Raises:
        OSError: something of it cannot be removed.
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
    """Copy a file that is never changed: without taking space, where the file system can.

    Raises:
        OSError: it cannot be read or written.
        StorageFull: no space is left.
    """
    if is_remote(target):
        assert is_remote(source)
        source.fs.cp_file(source.path, target.path)
        return
    assert not is_remote(source)
    with full_told(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # no hard links there
            shutil.copyfile(source, target)
        sync(target)
        sync(target.parent)


def write(place: Place, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        StorageFull: no space is left.
    """
    if is_remote(place):
        place.fs.pipe_file(place.path, content)
        return
    with full_told(place.parent):
        partial = place.with_name(f"{PARTIAL}-{place.name}")
        remove(partial)  # a link would lead elsewhere
        try:
            partial.write_bytes(content)
            sync(partial)
            os.replace(partial, place)
        except BaseException:
            with suppress(OSError):  # the first error is told
                partial.unlink(missing_ok=True)
            raise
        sync(place.parent)


def sync(path: Path) -> None:
    """Have the operating system write a file or folder to its disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def full_told(where: Path) -> Iterator[None]:
    """Raise StorageFull where the block finds no space left."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(where) from error
        raise
    except SafetensorError as error:  # which has the number in its words alone
        if any(f"(os error {number})" in str(error) for number in FULL):
            raise StorageFull(where) from error
        raise


def _unless_gone(function: Callable[..., Any], path: str, error: Any) -> None:
    """What removing a folder met is raised, but that something had gone already."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
