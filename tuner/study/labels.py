"""Comparison of labels: the same class may be written in several ways."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)


def folded(label: str) -> str:
    """Normalise a label, so that two spellings of a class compare equal.

    This ignores case, white space at the ends, the width of characters, and the form of a number:
    `Entailment` equals ` entailment`, and `1` equals `1.0`.
    """
    text = unicodedata.normalize("NFKC", label).strip().casefold()
    if NUMBER.fullmatch(text):
        return str(Fraction(text))
    return text
