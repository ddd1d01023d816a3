"""A journal's writer: threads share it until one of them takes over."""

from __future__ import annotations

from threading import Lock, get_ident

from tuner.journal.events import Event
from tuner.journal.journal import Journal


class TakenOver(RuntimeError):
    """Another thread has taken over the journal, so this thread may no longer write."""


class Writer:
    """A writer to a journal that any thread may use until one takes over.

    Args:
        journal: the journal, open for writing.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writing = Lock()
        self._only: int | None = None

    @property
    def late(self) -> bool:
        """True if another thread has taken over."""
        return self._only not in (None, get_ident())

    def append(self, event: Event) -> None:
        """Append an event to the journal.

        Raises:
            TakenOver: another thread has taken over.
            UserError: the journal cannot be written.
        """
        with self._writing:
            if self.late:
                raise TakenOver
            self._journal.append(event)

    def take_over(self) -> None:
        """Allow only the current thread to write from now on."""
        with self._writing:
            self._only = get_ident()
