"""Arrays as compact text for JSON: bits packed, integers compressed, both in base64 (RFC 4648).

The journal keeps them. What reads them back takes nothing for granted: a journal may be damaged, or
made by someone who means harm.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from jaxtyping import Bool, Int

MOST_INTS = 2**22
"""Integers of a text, at most; the largest split there is has some hundred thousand ids."""
INTEGER = np.dtype("<i8")


def bits_as_text(bits: Bool[np.ndarray, " n"]) -> str:
    """Eight bits a byte, the first one the highest, zeros after the last; in base64."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def text_as_bits(text: str, count: int) -> Bool[np.ndarray, " n"]:
    """The bits of a text.

    Args:
        text: as `bits_as_text` gave it.
        count: how many bits there are (n).

    Raises:
        ValueError: it is no such text, or not one of `count` bits.
    """
    data = base64.b64decode(text, validate=True)
    if len(data) != (count + 7) // 8:
        raise ValueError(f"{count} bits are {(count + 7) // 8} bytes, got {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
    if bits[count:].any():
        raise ValueError(f"there are more than {count} bits")
    return bits[:count]


def ints_as_text(ints: Int[np.ndarray, " n"]) -> str:
    """64-bit little-endian integers, compressed (zlib, RFC 1950), in base64."""
    assert len(ints) <= MOST_INTS
    return base64.b64encode(zlib.compress(ints.astype(INTEGER).tobytes(), 9)).decode()


def text_as_ints(text: str) -> Int[np.ndarray, " n"]:
    """The integers of a text; of a damaged one no more than 32 MiB is ever unpacked.

    Args:
        text: as `ints_as_text` gave it.

    Raises:
        ValueError: it is no such text, or of more than `MOST_INTS` integers.
    """
    unpacking = zlib.decompressobj()
    limit = MOST_INTS * INTEGER.itemsize
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), limit + 1)
    except zlib.error as error:
        raise ValueError(f"the integers cannot be unpacked: {error}") from error
    if len(data) > limit:
        raise ValueError(f"there are more than {MOST_INTS:,} integers")
    if not unpacking.eof or unpacking.unused_data or len(data) % INTEGER.itemsize:
        raise ValueError("the integers are cut off, or something follows them")
    return np.frombuffer(data, INTEGER).astype(np.int64)
