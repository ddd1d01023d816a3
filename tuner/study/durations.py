"""Durations in a study's YAML, such as `90m`, `1h30m`, `45s` or `2d`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
MAX_SECONDS = 1e10
"""The upper bound of a duration in seconds: some 300 years."""


def seconds_of(duration: str) -> float:
    """Convert a duration such as `90m`, `1h30m`, `45s` or `2d` to seconds.

    Raises:
        ValueError: the text is not a duration, or the duration is zero or too long.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", duration)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != duration or not 0 < seconds < MAX_SECONDS:
        raise ValueError(f"a duration is written as 90m, 1h30m or 45s, got {duration!r}")
    return seconds


def duration_of(seconds: float) -> str:
    """Convert seconds to a duration, rounded to whole seconds, at least `1s`."""
    whole, text = round(seconds), ""
    for unit, size in UNITS.items():
        count, whole = divmod(whole, int(size))
        text += f"{count}{unit}" if count else ""
    return text or "1s"


def _a_duration(text: str) -> str:
    seconds_of(text)
    return text


Duration = Annotated[
    str,
    AfterValidator(_a_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?[dhms])+$"}),
]
"""A duration, kept as the text that the user wrote."""
