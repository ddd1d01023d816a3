"""The package of a job: an archive of our code, a study's YAML and its local data."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import tuner
from tuner.cluster.private import PACKAGE_LIMIT, PACKAGE_PREFIX
from tuner.errors import UserError
from tuner.jobs.api import upload
from tuner.jobs.connection import Head

HOPELESS = 10
"""Multiple of the limit above which unpacked contents are refused without packing them."""
MAX_NAMED = 5
"""Number of the largest files that an error message names."""

Contents = Mapping[str, Path | bytes]
"""The contents of an archive by name: the path of a file here, or its bytes."""


@dataclass(frozen=True)
class Package:
    """An archive.

    Attributes:
        name: a name made of a hash of the contents, so that equal packages are uploaded once.
        archive: a zip file.
        sizes: compressed bytes by part: tuner, inputs, study.yaml.
    """

    name: str
    archive: bytes
    sizes: Mapping[str, int]

    def in_words(self) -> str:
        """Return its size and the sizes of its parts, in words."""
        parts = ", ".join(f"{part} {size_in_words(size)}" for part, size in self.sizes.items())
        return f"package: {size_in_words(len(self.archive))} ({parts})"

    def uploaded(self, head: Head) -> str:
        """Upload the package, and return its URI on the cluster."""
        return upload(head, self.name, self.archive)


def code() -> Contents:
    """Return the files of the package `tuner` as installed here."""
    root = Path(tuner.__file__).parent
    return {f"tuner/{path.relative_to(root).as_posix()}": path for path in plain_files(root)}


def plain_files(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, except caches and hidden files."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden:
            yield path


def pack(contents: Contents, limit: int = PACKAGE_LIMIT) -> Package:
    """Pack contents into an archive.

    Raises:
        UserError: the archive is too large for the head's store.
    """
    whole = {name: _size(content) for name, content in contents.items()}
    if sum(whole.values()) > HOPELESS * limit:
        raise _too_large(whole, limit)
    stream, digest = io.BytesIO(), hashlib.sha256()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in sorted(contents.items()):
            data = content if isinstance(content, bytes) else content.read_bytes()
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
        packed = {info.filename: info.compress_size for info in archive.infolist()}
    content = stream.getvalue()
    if len(content) >= limit:
        raise _too_large(whole, limit)
    return Package(f"{PACKAGE_PREFIX}{digest.hexdigest()[:32]}.zip", content, _by_part(packed))


def size_in_words(size: int) -> str:
    """Format a size, for example as `1.2 MiB`."""
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 / 10 else f"{size / 2**10:,.1f} KiB"


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _by_part(sizes: Mapping[str, int]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for name, size in sizes.items():
        part = PurePosixPath(name).parts[0]
        parts[part] = parts.get(part, 0) + size
    return parts


def _too_large(sizes: Mapping[str, int], limit: int) -> UserError:
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:MAX_NAMED]
    lines = [f"  {size_in_words(size):>12}  {name}" for name, size in largest]
    return UserError(
        f"the study needs {size_in_words(sum(sizes.values()))} of files from this machine before "
        f"packing, but a package must stay under {size_in_words(limit)}:\n" + "\n".join(lines),
        "Put the data or the encoder where the head finds it (the Hugging Face hub, a disk that "
        "the head has mounted) and name that place in the study: a path that does not exist here "
        "is taken as a path on the cluster.",
    )
