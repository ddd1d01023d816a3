"""A console that prints untrusted text safely, and the colours of states."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tuner.shown import is_printable, printable

COLOURS = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "interrupted": "yellow",
    "driver died": "red",
    "damaged": "red",
}
"""Colours of states; other states have the colour of text."""


class TextConsole(Console):
    """Rich's console without control characters, markup and emoji codes, for text from files.

    Args:
        stderr: write to stderr, for commands whose stdout a program reads.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render segments; only Rich itself may send control codes, others are spelt out."""
        for segment in super().render(renderable, options):
            if segment.control or is_printable(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
