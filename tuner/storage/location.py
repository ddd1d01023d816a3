"""Locations of studies as users name them: a local folder, a network share, an object store.

A local path becomes a `pathlib.Path`, an object store's URL a `UPath`, which has the same methods.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path, PurePath

from upath import UPath

from tuner import DISTRIBUTION
from tuner.errors import UserError
from tuner.storage.folders import Place

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The form of a study's name, which is also its folder's."""
LIBRARIES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
"""The module that accesses an object store and the extra that installs it, by URL scheme."""
SHARED = re.compile(
    r"nfs4?|cifs|smb3|smbfs|lustre|beegfs\w*|ceph|gpfs|glusterfs|afs|9p|virtiofs|wekafs|panfs|fuse\..+"
)
"""Types of file systems that several machines may mount."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.:-]*)://(?P<rest>.*)", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_KEY = re.compile(r"(?!\.+$)[\w.=+-]+")


def located(text: str | Place) -> Place:
    """Return the folder that a user names by a path or by a URL such as `s3://bucket/studies`.

    Raises:
        UserError: the path or URL is not allowed, or the module that accesses it is not installed.
    """
    if not isinstance(text, str):
        return text
    url = _URL.fullmatch(text)
    if url is None and not re.match(r"(s3|gs):", text):
        if "\0" in text:
            raise UserError("a folder's name cannot hold NUL")
        return local(text)
    allowed = "Give a local folder, s3://bucket/folder or gs://bucket/folder."
    if url is None or url["scheme"] not in LIBRARIES:
        scheme = url["scheme"] + "://" if url else text.partition(":")[0] + ":"
        raise UserError(f"studies cannot be stored at {scheme}…", allowed)
    bucket, *keys = url["rest"].rstrip("/").split("/")
    if "@" in url["rest"]:
        raise UserError(
            f"the storage {url['scheme']}://…@… contains credentials, which would be stored",
            "Give them in the environment, for instance AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or by the machine's role.",
        )
    if not _BUCKET.fullmatch(bucket) or not all(map(_KEY.fullmatch, keys)):
        raise UserError(
            f"{text!r} is not a folder of an object store",
            f"{allowed} The name of a bucket may have lower-case letters, digits, . and -; the "
            "name of a folder letters, digits and _ . = + -",
        )
    module, extra = LIBRARIES[url["scheme"]]
    if find_spec(module) is None:
        raise UserError(
            f"{text} is reached through {module}, which is not installed",
            f"Install it: {sys.executable} -m pip install '{DISTRIBUTION}[{extra}]'",
        )
    # Other machines write there too, so listings must not be cached.
    return UPath("/".join([f"{url['scheme']}://{bucket}", *keys]), use_listings_cache=False)


def local(text: str | Path) -> Path:
    """Return a path with `~` expanded to a home folder.

    Raises:
        UserError: the user does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{text}: there is no such user: write the folder as a path") from error


def study_folder(study: str, storage: str) -> Place:
    """Return the folder of a study that a user names.

    Args:
        study: the study's name, or its folder if it contains a /.
        storage: the folder of studies in which to find the name.

    Raises:
        UserError: the name or folder is not allowed.
    """
    folder = located(study) if "/" in study else located(storage) / study
    if not NAME.fullmatch(folder.name if "/" in study else study):
        raise UserError(
            f"{study!r} is not a valid study name: use letters, digits, - and _, at most 64",
            "Give the study's name, with --storage if it is not in ./studies, or its folder.",
        )
    return folder


def beside(storage: Place) -> Path:
    """Return the local folder for files that no object store can hold, such as MLflow's database.

    This is the storage itself if it is local, and `studies` otherwise.
    """
    return storage if isinstance(storage, Path) else Path("studies")


def is_shared(folder: Place) -> bool:
    """Return whether other machines may write to a folder: object store or network file system."""
    if not isinstance(folder, Path):
        return True
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return False
    return SHARED.fullmatch(mounted_as(Path(os.path.realpath(folder)), mounts)) is not None


def mounted_as(path: PurePath, mounts: str) -> str:
    """Return the type of the file system that holds an absolute path.

    Args:
        path: an absolute path without links.
        mounts: the content of /proc/mounts: lines of device, mount point, type, …
    """
    found, deepest = "", -1
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point)
        depth = len(PurePath(point).parts)
        if path.is_relative_to(point) and depth >= deepest:  # a later mount hides an earlier one
            found, deepest = kind, depth
    return found
