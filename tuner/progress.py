"""How a long step says how far it is; who shows it is not its concern."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

Advance = Callable[[int, int], None]
"""Called now and then with how much of a step is done and how much it is in all."""

Phase = Literal["training", "evaluating"]
"""What a trial is at between two rungs, and at one."""


class Progress(Protocol):
    """Where the user reads: facts, which stay, and how far the step under way is."""

    def tell(self, line: str) -> None:
        """Say a fact, in one line."""

    def task(self, name: str, unit: str = "") -> AbstractContextManager[Advance]:
        """Show a step while the block runs; `unit` is of its counts, where it has counts."""
