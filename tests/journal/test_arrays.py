"""Arrays as text: read back equal, and nothing else is read."""

from __future__ import annotations

import base64
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.journal import arrays
from tuner.journal.arrays import bits_as_text, ints_as_text, text_as_bits, text_as_ints


def test_texts_computed_by_hand() -> None:
    """1011 0000 and 1000 0000 are the bytes B0 80, in base64 `sIA=`."""
    bits = np.array([1, 0, 1, 1, 0, 0, 0, 0, 1], dtype=bool)
    assert bits_as_text(bits) == "sIA="
    assert text_as_bits("sIA=", 9).tolist() == bits.tolist()
    raw = zlib.decompress(base64.b64decode(ints_as_text(np.array([1, -2]))))
    assert raw == b"\x01" + 7 * b"\x00" + b"\xfe" + 7 * b"\xff"


@given(st.lists(st.booleans(), max_size=40))
def test_bits_are_read_back(bits: list[bool]) -> None:
    assert text_as_bits(bits_as_text(np.array(bits, dtype=bool)), len(bits)).tolist() == bits


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_integers_are_read_back(ints: list[int]) -> None:
    assert text_as_ints(ints_as_text(np.array(ints, dtype=np.int64))).tolist() == ints


@pytest.mark.parametrize(
    ("text", "count"),
    [("sIA=", 8), ("sIA=", 17), ("sIE=", 9), ("sIA", 9), ("s IA=", 9), ("sÄ==", 9), ("", 1)],
)
def test_other_bits_are_refused(text: str, count: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of whichever layer)
        text_as_bits(text, count)


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


WHOLE = zlib.compress(bytes(16))


@pytest.mark.parametrize(
    "text",
    ["", "AAAA", "!", packed(WHOLE[:-1]), packed(WHOLE + b"x"), packed(zlib.compress(bytes(15)))],
)
def test_other_integers_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of whichever layer)
        text_as_ints(text)


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the part of it that would be kept: the limit here is 80 bytes, the bomb 64 MiB."""
    bomb = packed(zlib.compress(bytes(2**26)))
    monkeypatch.setattr(arrays, "MAX_INTS", 10)
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 10 integers"):
        text_as_ints(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert text_as_ints(packed(zlib.compress(bytes(80)))).tolist() == [0] * 10
