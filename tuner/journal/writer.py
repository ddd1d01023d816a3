"""The thread that may write to a study's journal."""

from __future__ import annotations

from threading import Lock, get_ident

from tuner.journal.events import Event
from tuner.journal.journal import Journal


class TakenOver(RuntimeError):
    """Another thread ends the study: this one may write nothing more."""


class Writer:
    """Writes to a journal: any thread may, until one takes over.

    Args:
        journal: open for writing.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writing = Lock()
        self._only: int | None = None

    @property
    def late(self) -> bool:
        """Whether another thread than this one has taken over."""
        return self._only not in (None, get_ident())

    def append(self, event: Event) -> None:
        """Write an event.

        Raises:
            TakenOver: another thread has taken over.
            UserError: the journal cannot be written.
        """
        with self._writing:
            if self.late:
                raise TakenOver
            self._journal.append(event)

    def take_over(self) -> None:
        """Let no thread write but this one."""
        with self._writing:
            self._only = get_ident()
