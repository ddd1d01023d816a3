"""A clock that is set back and forth while a study runs: its driver's, its workers' and Ray's."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from random import Random

from tests.chaos.checkpoints import newest_sound
from tests.chaos.faults import Fault, Kind
from tests.chaos.study import Driver, Place, Study

SHIM = Path(__file__).parent / "shim"
STEPS = (-86400.0, -3600.0, -30.0, -1.5, 1.5, 30.0, 3600.0, 86400.0)
"""Seconds: a machine that slept, a time zone mistaken for UTC, NTP after a while without it."""


class StepClock(Kind):
    """The clocks of all processes of a study step at once; nothing dies."""

    name = "clock stepped"

    def __init__(self, rng: Random, place: Place, record: int | None = None) -> None:
        super().__init__(rng, record)
        self._place = place
        self._file = place.folder / "clock"
        self._offset = 0.0

    def before_driver(self) -> None:
        self._set(self._offset)
        self._place.variables = {"PYTHONPATH": str(SHIM), "CHAOS_CLOCK": str(self._file)}

    def strike(self, study: Study, driver: Driver) -> Fault | None:
        if not self.moment(study, driver, first=1):
            return None
        at, record = time.time(), study.records()
        step = self.rng.choice(STEPS)
        self._set(self._offset + step)
        return Fault(f"the clock steps by {step:g} s", at, record, newest_sound(study))

    def after_study(self, study: Study, driver: Driver) -> str:
        """Whoever asks for the study is answered, with its times as they are."""
        wrong = []
        for command in ("status", "report"):
            code, said = study.ask(command, study.name, "--storage", str(study.storage))
            if code != 0 or "Traceback" in said:
                wrong.append(f"{command} exited with {code}: {said[-500:]}")
        self._place.variables = {}
        return "; ".join(wrong)

    def _set(self, offset: float) -> None:
        """In one write of eight bytes: whoever reads has the old one or the new one."""
        self._offset = offset
        mode = "r+b" if self._file.exists() else "wb"
        with open(self._file, mode, buffering=0) as file:
            file.write(struct.pack("d", offset))
