"""Where studies are kept: a local folder, a network file system, or an object store.

A local path is a `pathlib.Path`, an object store's a `UPath`, which has the same methods.
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
"""Of a study, and of its folder."""
LIBRARIES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}
"""By the scheme of an object store: the module that reaches it, and the extra that installs it."""
SHARED = re.compile(
    r"nfs4?|cifs|smb3|smbfs|lustre|beegfs\w*|ceph|gpfs|glusterfs|afs|9p|virtiofs|wekafs|panfs|fuse\..+"
)
"""Types of file systems that more than one machine may have mounted."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.:-]*)://(?P<rest>.*)", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_KEY = re.compile(r"(?!\.+$)[\w.=+-]+")


def located(text: str | Place) -> Place:
    """The folder that a user names: by a path, or by a URL as `s3://bucket/studies`.

    Raises:
        UserError: it is a URL of a kind that is not allowed, or what reaches it is not installed.
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
        raise UserError(f"studies cannot be kept at {scheme}…", allowed)
    bucket, *keys = url["rest"].rstrip("/").split("/")
    if "@" in url["rest"]:
        raise UserError(
            f"a storage {url['scheme']}://…@… has credentials in it, which would be written down",
            "Give them by the environment, for instance AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or by the machine's role.",
        )
    if not _BUCKET.fullmatch(bucket) or not all(map(_KEY.fullmatch, keys)):
        raise UserError(
            f"{text!r} is no folder of an object store",
            f"{allowed} Buckets have lower-case letters, digits, . and - in their names; folders "
            "letters, digits and _ . = + -",
        )
    module, extra = LIBRARIES[url["scheme"]]
    if find_spec(module) is None:
        raise UserError(
            f"{text} is reached through {module}, which is not installed",
            f"Install it: {sys.executable} -m pip install '{DISTRIBUTION}[{extra}]'",
        )
    # Others write there too: a listing is asked for each time.
    return UPath("/".join([f"{url['scheme']}://{bucket}", *keys]), use_listings_cache=False)


def local(text: str | Path) -> Path:
    """A path in which `~` may stand for a home.

    Raises:
        UserError: of nobody.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{text}: there is no such user: write the folder as a path") from error


def study_folder(study: str, storage: str) -> Place:
    """The folder of a study that a user names.

    Args:
        study: its name, or its folder: what has a / in it.
        storage: where a name is looked for.

    Raises:
        UserError: neither is allowed.
    """
    folder = located(study) if "/" in study else located(storage) / study
    if not NAME.fullmatch(folder.name if "/" in study else study):
        raise UserError(
            f"{study!r} names no study: a study's name is letters, digits, - and _, at most 64",
            "Give its name, with --storage where it is not in ./studies, or its folder.",
        )
    return folder


def beside(storage: Place) -> Path:
    """The local folder for what no object store holds, as MLflow's database: `studies` for one."""
    return storage if isinstance(storage, Path) else Path("studies")


def is_shared(folder: Place) -> bool:
    """Whether other machines may write there too: on an object store or network file system."""
    if not isinstance(folder, Path):
        return True
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        return False
    return SHARED.fullmatch(mounted_as(Path(os.path.realpath(folder)), mounts)) is not None


def mounted_as(path: PurePath, mounts: str) -> str:
    """The type of the file system that an absolute path is on.

    Args:
        path: with no links in it.
        mounts: lines as of /proc/mounts: device, mount point, type, …
    """
    found, deepest = "", -1
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), point)
        depth = len(PurePath(point).parts)
        if path.is_relative_to(point) and depth >= deepest:  # of two at a point, the later counts
            found, deepest = kind, depth
    return found
