"""The standard streams, so that printing never ends a command.

A character that a stream's encoding lacks is printed in a readable ASCII form. A stream that nobody
reads any more, or that is closed or full, drops what is written: a study goes on without it.
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
"""The name of the error handler that writes such forms."""
FORMS = {
    **{"…": "...", "×": "x", "·": ".", "⊙": "*", "±": "+/-", "→": "->", "⌊": "floor(", "⌋": ")"},
    **dict.fromkeys("–—−⁻", "-") | dict.fromkeys("\u2018’", "'") | dict.fromkeys("“”«»", '"'),
    **{"α": "alpha", "β": "beta", "γ": "gamma", "μ": "mu", "ρ": "rho", "σ": "sigma", "φ": "phi"},
    **{"Σ": "Sigma", "ß": "ss", "æ": "ae", "ø": "o"},
    **dict.fromkeys("━╸╺─", "=") | {"│": "|", "█": "#", "░": "~"},
    **dict(zip("▁▂▃▄▅▆▇", "_,-:+*%", strict=True)),
}
"""What stands for characters that we print, and for some that others write."""
GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""Nobody reads any more: a pipe's reader has ended, a terminal was closed."""


class Outlet(io.FileIO):
    """A descriptor that can always be written: from its first failure on, it drops everything.

    Attributes:
        failure: why it cannot be written any more.
    """

    failure: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """Write, or drop it: neither raises."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def prepare() -> None:
    """Make the standard streams so, once a process."""
    codecs.register_error(READABLE, readable)
    for descriptor in range(3):  # else the next file opened, such as a journal, is printed into
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    sys.stdout = _prepared(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _prepared(sys.stderr, sys.__stderr__, 2)


def unread() -> bool:
    """Whether stdout has no reader any more: what only shows something ends then."""
    failure = _failure(sys.stdout)
    return failure is not None and failure.errno in GONE


def unwritten() -> str:
    """Why the end of stdout's text is missing where somebody waits for it; else nothing."""
    sys.stdout.flush()
    failure = _failure(sys.stdout)
    return "" if failure is None or failure.errno in GONE else str(failure.strerror)


def readable(error: UnicodeError) -> tuple[str, int]:
    r"""An error handler for codecs: ASCII for what cannot be encoded.

    A letter with an accent loses it; what has no form is written as in Python, `\u4e2d`.
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
    """The stream of a descriptor made anew; what somebody else has put there stays."""
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
