"""Arrays as compact text for JSON: bits packed, integers compressed, both in base64 (RFC 4648).

The journal stores these texts. The readers check everything, because a journal may be damaged or
malicious.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from jaxtyping import Bool, Int

MAX_INTS = 2**22
"""The largest number of integers in a text; the largest known split has some 100,000 ids."""
INTEGER = np.dtype("<i8")


def bits_as_text(bits: Bool[np.ndarray, " n"]) -> str:
    """Pack bits into bytes, highest bit first, padded with zeros; encode them in base64."""
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def text_as_bits(text: str, count: int) -> Bool[np.ndarray, " n"]:
    """Unpack the bits of a text.

    Args:
        text: a return value of `bits_as_text`.
        count: the number of bits (n).

    Raises:
        ValueError: the text is not valid base64, or does not hold `count` bits.
    """
    data = base64.b64decode(text, validate=True)
    if len(data) != (count + 7) // 8:
        raise ValueError(f"{count} bits take {(count + 7) // 8} bytes, got {len(data)}")
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).astype(bool)
    if bits[count:].any():
        raise ValueError(f"there are more than {count} bits")
    return bits[:count]


def ints_as_text(ints: Int[np.ndarray, " n"]) -> str:
    """Encode integers as 64-bit little-endian, compressed (zlib, RFC 1950), in base64."""
    assert len(ints) <= MAX_INTS
    return base64.b64encode(zlib.compress(ints.astype(INTEGER).tobytes(), 9)).decode()


def text_as_ints(text: str) -> Int[np.ndarray, " n"]:
    """Unpack the integers of a text; at most 32 MiB are unpacked, even from a malicious text.

    Args:
        text: a return value of `ints_as_text`.

    Raises:
        ValueError: the text is invalid, or holds more than `MAX_INTS` integers.
    """
    unpacking = zlib.decompressobj()
    limit = MAX_INTS * INTEGER.itemsize
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), limit + 1)
    except zlib.error as error:
        raise ValueError(f"the integers cannot be unpacked: {error}") from error
    if len(data) > limit:
        raise ValueError(f"there are more than {MAX_INTS:,} integers")
    if not unpacking.eof or unpacking.unused_data or len(data) % INTEGER.itemsize:
        raise ValueError("the integers are cut off, or something follows them")
    return np.frombuffer(data, INTEGER).astype(np.int64)
