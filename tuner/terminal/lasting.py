"""Output that outlasts its reader: a study goes on, or ends in order, where nobody reads any more.

A terminal that is closed answers with EIO, a pipe whose reader has gone with EPIPE. For a command
that prints and ends, that is the end. A study has more to do than print.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

GONE = (errno.EIO, errno.EPIPE)


class _Lasting(io.FileIO):
    """A file whose descriptor leads nowhere from when its reader has gone."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return memoryview(data).nbytes


def outlast_readers() -> None:
    """Let this process's standard output and error outlast their readers, from here on."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    """The same stream; one that a test has put in its place stays."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    unbuffered = isinstance(stream.buffer, io.FileIO)  # python -u
    if type(stream.buffer if unbuffered else getattr(stream.buffer, "raw", None)) is not io.FileIO:
        return stream
    stream.flush()
    raw: Any = _Lasting(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
