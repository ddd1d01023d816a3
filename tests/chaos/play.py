"""Studies from beginning to end while faults of one kind befall them, and what they came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from tests.chaos.checkpoints import Witness
from tests.chaos.faults import Fault, Kind
from tests.chaos.reference import Undisturbed
from tests.chaos.study import Place, Study
from tests.chaos.tally import Tally, tally

A_STUDY = 5
"""Faults that one study has to bear at most."""
GIVES_UP = 3
"""Drivers of a study that may fail by themselves before it counts as lost."""
LINGERS = 60.0
"""Seconds in which all processes of a study that has ended have to be gone: Ray's look for their
parent every few."""

VARIANTS = ("stopping", "promotion")
"""The variants of ASHA; studies that have the same kind of fault take turns."""

Tell = Callable[[str], None]


@dataclass
class KindOutcome:
    """All studies that one kind of fault was done to."""

    kind: str
    total: Tally = field(default_factory=Tally)
    studies: list[dict[str, Any]] = field(default_factory=list)


def outcome(
    kind: Kind, faults: int, place: Place, undisturbed: Undisturbed, tell: Tell
) -> KindOutcome:
    """Do as many faults of a kind, to as many studies as that takes."""
    of_kind = KindOutcome(kind.name)
    while of_kind.total.faults < faults:
        name = f"{kind.name.replace(' ', '-')}-{len(of_kind.studies)}"
        variant = VARIANTS[len(of_kind.studies) % len(VARIANTS)]
        study = Study(place, name, *kind.settings, f"scheduler.variant={variant}")
        started = time.monotonic()
        most = min(A_STUDY, faults - of_kind.total.faults)
        found, done = play(study, kind, most, tell)
        for score in undisturbed.wrong(study.events()):
            found.found("scores_wrong", score)
        of_kind.total.add(found)
        seconds = round(time.monotonic() - started)
        of_kind.studies.append(
            {"name": name, "seconds": seconds, "faults": [f.what for f in done], **asdict(found)}
        )
        told = "; ".join(found.wrong) or "nothing lost"
        tell(f"{name}: {found.finished}/{found.expected} trials, {seconds} s: {told}")
        if not done and len(of_kind.studies) > faults:
            break  # none takes hold
    return of_kind


def play(study: Study, kind: Kind, most: int, tell: Tell) -> tuple[Tally, list[Fault]]:
    """One study to its end, with at most so many faults on the way."""
    faults: list[Fault] = []
    wrong: list[str] = []
    with Witness(study) as witness:
        kind.before_driver()
        driver = study.go_on()
        while True:
            fault = kind.strike(study, driver) if len(faults) < most else None
            if fault is not None:
                faults.append(fault)
                tell(f"{study.name}, after {fault.record} records: {fault.what}")
            elif driver.wait() == 0:
                break
            elif not kind.excuses(driver):
                said = " | ".join(driver.said().strip().splitlines()[-6:])
                wrong.append(f"{driver.log.name} exited with {driver.wait()}: {said}")
                tell(wrong[-1])
                if len(wrong) == GIVES_UP:
                    break
            if not driver.running:
                kind.before_driver()
                driver = study.go_on()
        unfinished = kind.after_study(study, driver)
    found = tally(study, faults, witness, kind.store(study))
    for what in (*wrong, unfinished):
        if what:
            found.found("gave_up", what)
    _see_what_is_left(found, study)
    return found, faults


def _see_what_is_left(found: Tally, study: Study) -> None:
    """Processes that live on, and half-written files."""
    deadline = time.monotonic() + LINGERS
    while (alive := study.place.processes("driver")) and time.monotonic() < deadline:
        time.sleep(0.1)
    for title in alive.values():
        found.found("left_over", f"process {title[:60]}")
    study.place.kill("driver")
    half = [path.name for path in study.storage.glob(".*")]
    half += [path.parent.name for path in study.folder.glob("trials/*/*/optimizer.safetensors")]
    half += [path.parent.name for path in study.folder.glob("trials/*/.partial")]
    for name in half:
        found.found("left_over", f"file {name}")


def seeded(seed: int, kind: str) -> Random:
    """Each kind's own random numbers, so that one can be run alone."""
    return Random(f"{seed} {kind}")
