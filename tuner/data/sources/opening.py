"""Opening of data files: decompression, decoding, and errors that name the unreadable line."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tuner.errors import UserError
from tuner.study.columns import COMPRESSED

DISGUISED = (
    (b"\x1f\x8b", "compressed with gzip", "Name it {name}.gz, or decompress it with gunzip."),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it, and give the file inside."),
    (b"PAR1", "a Parquet file", "Name it with the ending .parquet."),
)
"""The first bytes of files that are not text, their format, and the remedy."""
SMALL = 20 * 2**20
"""The largest size, in bytes, of a small file, which takes some 0.3 s to read."""
INFLATION = 4
"""The approximate factor by which text grows when it is decompressed."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def is_there(file: Path) -> bool:
    """Return true if the path exists.

    Raises:
        UserError: the check failed, for example because a parent folder is not accessible.
    """
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    return True


def rows_of_head(file: Path, most: int | None) -> int | None:
    """Return how many rows of a file to read: `most` of a large file, None (all) of a small one.

    Args:
        file: the file.
        most: rows to read of a large file; None to read any file whole.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        size = file.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from error
    inflated = size * (INFLATION if file.name.lower().endswith(COMPRESSED) else 1)
    return None if inflated <= SMALL else most


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Open a file as bytes, decompressed if its name ends in `.gz`.

    Raises:
        UserError: the file cannot be opened or read.
    """
    try:
        mode = file.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a pipe could block
            raise UserError(
                f"{file} is a pipe or a device, not a file", "Write its output into a file."
            )
        if file.name.lower().endswith(COMPRESSED):
            with gzip.open(file, "rb") as stream:
                yield cast(BinaryIO, stream)
        else:
            with file.open("rb") as plain:
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{file} is not a complete gzip file ({error})",
            "Compress or download it again. If it is not compressed, drop .gz from its name.",
        ) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def lines_of(file: Path) -> Iterator[str]:
    """Read the lines of a UTF-8 text, each with the line feed that ends it.

    Raises:
        UserError: the file cannot be read, is not text, or a line is not UTF-8.
    """
    with opened(file) as stream:
        for number, raw in enumerate(stream, start=1):
            if number == 1:
                _check_is_text(file, raw)
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise _not_utf8(file, number, raw, error) from error
            yield line


def _unreadable(file: Path, error: OSError | ValueError) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(f"cannot read {file}: {reason}", "Check the file and its permissions.")


def _check_is_text(file: Path, start: bytes) -> None:
    for magic, what, remedy in DISGUISED:
        if start.startswith(magic):
            raise UserError(f"{file} is {what}", remedy.format(name=file.name))


def _not_utf8(file: Path, number: int, raw: bytes, error: UnicodeDecodeError) -> UserError:
    encoding = "UTF-16" if number == 1 and raw.startswith(UTF_16) else "WINDOWS-1252"
    return UserError(
        f"{file}, line {number}: not UTF-8 ({error.reason})",
        f"Convert the file to UTF-8. If it is {encoding}: iconv -f {encoding} -t UTF-8 OLD > NEW",
    )
