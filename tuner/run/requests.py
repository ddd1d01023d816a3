"""Requests that users send to a running study: its driver looks for them every few seconds."""

from __future__ import annotations

import time
from math import inf

from tuner.errors import UserError
from tuner.journal import inbox
from tuner.search.driver import Driver
from tuner.storage.folders import Place

EVERY_SECONDS = 5.0
"""Shortest time between two looks into the inbox."""


class Requests:
    """The requests to one driver.

    Args:
        folder: the study's folder.
        driver: its driver, which carries them out.

    Attributes:
        complaints: lines for the user about requests that could not be carried out.
    """

    def __init__(self, folder: Place, driver: Driver) -> None:
        self._folder = folder
        self._driver = driver
        self._looked = -inf
        self.complaints: list[str] = []

    def look(self) -> None:
        """Carry out what waits, unless the last look was just now.

        A storage that fails for a while is asked again at the next look.
        """
        if time.monotonic() - self._looked < EVERY_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            for id_, request in inbox.waiting(self._folder).items():
                complaint = (
                    "it cannot be read" if request is None else self._driver.asked(id_, request)
                )
                if complaint:
                    what = "a request" if request is None else request.in_words()
                    self.complaints.append(f"{what} was refused: {complaint}")
                inbox.answered(self._folder, id_)
        except UserError:
            if self._driver.outcome is not None:  # the journal cannot be written
                raise
