"""Labels compared: two may be the same class, written in two ways."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


def folded(label: str) -> str:
    """A label without what does not tell classes apart.

    That is case, white space at the ends, the width of characters, and the form of a number:
    `Entailment` is ` entailment`, and `1` is `1.0`.
    """
    text = unicodedata.normalize("NFKC", label).strip().casefold()
    if NUMBER.fullmatch(text):
        return str(Fraction(text))
    return text
