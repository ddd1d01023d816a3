"""Helpers that several tests of this room share."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.records import facts
from tuner.journal.events import StudyCreated, TrialPlaced
from tuner.journal.journal import Journal
from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.search.asha import Variant
from tuner.search.driver import Driver
from tuner.search.sampler import Point
from tuner.study import StudyConfig

Make = Callable[[int, float], Evaluation]


def anything(point: Point) -> bool:
    """Accept every point."""
    return True


def with_variant(study: StudyConfig, variant: Variant) -> StudyConfig:
    """The study with this variant of ASHA."""
    scheduler = study.scheduler.model_copy(update={"variant": variant})
    return study.model_copy(update={"scheduler": scheduler})


def create(study: StudyConfig) -> Journal:
    """The journal of a new study."""
    created = StudyCreated(
        time=1.0,
        name=study.name,
        id="abc",
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=study.rungs,
    )
    return Journal.create(study.folder, created)


def score(trial: TrialRecord, rung: int) -> float:
    """A made-up learning curve: better for some learning rates, and with more pairs."""
    return 0.5 + 0.4 * trial.config.mix.cross_lingual * rung / 900 + trial.config.optim.lr


def run(driver: Driver, study: StudyConfig, make: Make, stop_after: int | None = None) -> int:
    """One worker; gives up (as if killed) after so many evaluations. Returns how many were fed."""
    fed = 0
    while (trial := driver.next_trial()) is not None:
        driver.trial_started(trial.number)
        driver.note(TrialPlaced(time=time.time(), number=trial.number, nodes=("here",)))
        for rung in study.rungs:
            if any(known.rung == rung for known in trial.evaluations):
                continue
            if fed == stop_after:
                return fed
            fed += 1
            if not driver.evaluated(trial.number, make(rung, score(trial, rung))):
                break
    return fed


def configurations(record: StudyRecord) -> list[object]:
    """Return the parts of a study that must not depend on interruptions."""
    return [
        (t.number, t.origin, t.params, t.state, [e.objective for e in t.evaluations])
        for t in record.trials
    ]
