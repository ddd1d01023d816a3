"""The interface through which long steps report their progress; others implement the display."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

Advance = Callable[[int, int], None]
"""A callback that a step calls with the amount done and the total amount."""

Phase = Literal["training", "evaluating"]
"""The phase of a trial: training between rungs, or evaluating at a rung."""


class Progress(Protocol):
    """A display of facts, which stay, and of the progress of the current step."""

    def tell(self, line: str) -> None:
        """Show a fact in one line."""

    def task(self, name: str, unit: str = "") -> AbstractContextManager[Advance]:
        """Show a step while the block runs; `unit` is the unit of its counts, if it has counts."""
