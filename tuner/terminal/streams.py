"""Standard streams that never make printing fail.

A stream prints characters that its encoding lacks in a readable ASCII form. A stream that has lost
its reader, or is closed or full, drops its output, so that a study continues.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

READABLE = "tuner.readable"
"""The name of the codec error handler that writes ASCII forms."""
FORMS = {
    **{"…": "...", "×": "x", "·": ".", "⊙": "*", "±": "+/-", "→": "->", "⌊": "floor(", "⌋": ")"},
    **dict.fromkeys("–—−⁻", "-") | dict.fromkeys("\u2018’", "'") | dict.fromkeys("“”«»", '"'),
    **{"α": "alpha", "β": "beta", "γ": "gamma", "μ": "mu", "ρ": "rho", "σ": "sigma", "φ": "phi"},
    **{"Σ": "Sigma", "ß": "ss", "æ": "ae", "ø": "o"},
    **dict.fromkeys("━╸╺─", "=") | {"│": "|", "█": "#", "░": "~"},
    **dict(zip("▁▂▃▄▅▆▇", "_,-:+*%", strict=True)),
}
"""ASCII forms of characters that this program prints, and of some others."""
GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""Errors of a stream without a reader: a pipe's reader has ended, or a terminal was closed."""


class Outlet(io.FileIO):
    """A descriptor whose writes always succeed: after its first failure it drops everything.

    Attributes:
        failure: the error of the first failed write; None before it.
    """

    failure: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """Write or drop the data, without raising."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def prepare() -> None:
    """Replace the standard streams; call this once in a process."""
    codecs.register_error(READABLE, readable)
    for descriptor in range(3):  # or prints would go into the next file opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free one
    sys.stdout = _prepared(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _prepared(sys.stderr, sys.__stderr__, 2)


def unread() -> bool:
    """Return whether stdout has lost its reader, so that commands that only show can end."""
    failure = _failure(sys.stdout)
    return failure is not None and failure.errno in GONE


def unwritten() -> str:
    """Return why output is missing from a stdout that still has a reader; otherwise ""."""
    sys.stdout.flush()
    failure = _failure(sys.stdout)
    return "" if failure is None or failure.errno in GONE else str(failure.strerror)


def readable(error: UnicodeError) -> tuple[str, int]:
    r"""Return ASCII for characters that cannot be encoded, as an error handler for codecs.

    Letters lose their accents; a character without an ASCII form is escaped, as in `\u4e2d`.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_form, error.object[error.start : error.end])), error.end


def _form(character: str) -> str:
    if form := FORMS.get(character):
        return form
    parts = unicodedata.normalize("NFKD", character)
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain if plain.isascii() and plain else ascii(character)[1:-1]


def _prepared(stream: TextIO | None, original: TextIO | None, descriptor: int) -> TextIO:
    """Return a safe stream for a descriptor; keep a stream that other code has installed."""
    if stream is None:  # the descriptor was closed when Python started
        return open(descriptor, "w", encoding="utf-8", errors=READABLE, closefd=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors=READABLE)  # this flushes it, too
    if stream is not original:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(Outlet(descriptor, "w", closefd=False)),
        encoding=stream.encoding,
        errors=READABLE,
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _failure(stream: TextIO) -> OSError | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Outlet) else None
