"""A console on which what others wrote is text, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tuner.shown import is_printable, printable


class TextConsole(Console):
    """Rich's console, for texts out of files: no control characters, no markup, no emoji codes.

    Args:
        stderr: write there, where a program reads stdout.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As it is drawn: what moves the cursor is Rich's own, or is written out."""
        for segment in super().render(renderable, options):
            if segment.control or is_printable(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
