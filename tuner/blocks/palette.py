"""The colours of a page and of the figures in it, in a light and a dark scheme."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

LEVELS = 11
"""Number of shades in a heat map."""
LIGHT: Mapping[str, str] = {
    "ink": "#1c2127",
    "muted": "#5a6470",
    "line": "#d7dce1",
    "paper": "#ffffff",
    "accent": "#0a5ca8",
    "series-0": "#0a5ca8",
    "series-1": "#b8500a",
    "series-2": "#12734a",
    "series-3": "#8338a4",
    "series-4": "#b3261e",
    "series-5": "#6d5b00",
    "series-6": "#0a7480",
}
DARK: Mapping[str, str] = {
    "ink": "#e6e9ec",
    "muted": "#9ba6b2",
    "line": "#39414a",
    "paper": "#171b1f",
    "accent": "#7cb9f5",
    "series-0": "#7cb9f5",
    "series-1": "#f2a060",
    "series-2": "#63cf98",
    "series-3": "#d19bee",
    "series-4": "#ff928a",
    "series-5": "#d8c460",
    "series-6": "#63d1dd",
}
ENDS = {"light": ("#f1f6fb", "#08467f"), "dark": ("#1f2830", "#a5d4ff")}
"""Colours of the lowest and the highest value in a heat map, by scheme."""


def colours(scheme: str) -> dict[str, str]:
    """Return the page's variables and their colours in the `light` or the `dark` scheme."""
    low, high = ENDS[scheme]
    found = dict(LIGHT if scheme == "light" else DARK)
    for level in range(LEVELS):
        shade = _between(low, high, level / (LEVELS - 1))
        found[f"heat-{level}"] = shade
        found[f"on-heat-{level}"] = max("#000000", "#ffffff", key=partial(contrast, shade))
    return found


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb`, 1 to 21, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _between(low: str, high: str, share: float) -> str:
    """Return a mixture of two colours, as `#rrggbb`."""
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (low, high)]
    mixed = [round(a + share * (b - a)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)
