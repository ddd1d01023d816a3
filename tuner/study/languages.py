"""Codes of languages, and which of them are one language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

Language = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,34}$")]
"""A language code; it appears in folder names and metric names."""


def primary(code: str) -> str:
    """Return the primary subtag of a code: `de` for `de`, `DE`, `de-AT` and `de_CH` (RFC 5646).

    A code of private use, `x-…`, has none: all of it counts.
    """
    subtag = re.split(r"[-_]", code, maxsplit=1)[0]
    return (code if len(subtag) == 1 else subtag).lower()


def among(code: str, codes: Iterable[str]) -> bool:
    """Return whether a code is of the same language as one of the others."""
    return primary(code) in {primary(each) for each in codes}
