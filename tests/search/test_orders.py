"""Scripted orders of four workers, cut at every event: a replayed driver is the live one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.search.examples import Make, create, score, with_variant
from tuner.journal.journal import Journal
from tuner.journal.records import TrialRecord
from tuner.search.asha import Variant
from tuner.search.driver import Driver
from tuner.study import StudyConfig

WORKERS = 4


def play(driver: Driver, study: StudyConfig, make: Make, chance: random.Random) -> Iterator[int]:
    """Run a study on four workers in a random order; yield the trial of each event."""
    running: dict[int, TrialRecord] = {}
    while True:
        while len(running) < WORKERS and (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            driver.restored(trial.number, trial.pairs_seen)
            running[trial.number] = trial
            yield trial.number
        if not running:
            assert driver.done
            return
        number = chance.choice(sorted(running))
        trial = driver.record().trials[number]
        last = trial.last.rung if trial.last else 0
        rung = next(rung for rung in study.rungs if rung > last)
        match chance.random():
            case drawn if drawn < 0.4:
                seen = chance.randint(last, rung - 1)
                goes_on = driver.progressed(number, seen, "training")
            case drawn if drawn < 0.45:
                driver.attempt_failed(number, chance.choice(["lost", "non_finite"]), "scripted")
                goes_on = False
            case _:
                value = score(trial, rung) + chance.gauss(0, 0.2)
                goes_on = driver.evaluated(number, make(rung, min(1.0, max(0.0, value))))
        if not goes_on:
            del running[number]
        yield number


def compare(live: Driver, replayed: Driver, study: StudyConfig) -> None:
    """Both would do the same next: about every trial, and for a free worker."""
    one, other = live._schedule, replayed._schedule
    assert one.promotable() == other.promotable()
    for trial in live._journal.history.trials.values():
        if trial.last is not None:
            assert one.decision(trial) == other.decision(trial)
        for pairs in range(50, 900, 100):
            assert one.falls(trial, pairs) == other.falls(trial, pairs)
    following = [driver._supply.next() for driver in (live, replayed)]
    facts = [each.model_dump(exclude={"time"}) if each else None for each in following]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("variant", ["stopping", "promotion"])
def test_cut_at_every_event_the_replayed_driver_is_the_live_one(
    study: StudyConfig, evaluation: Make, tmp_path: Path, variant: Variant, seed: int
) -> None:
    """And the study ends with all of its trials at rest, and its full budgets reached."""
    study = with_variant(study, variant)
    copied = study.model_copy(update={"storage": tmp_path / "copy"})
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for _ in play(driver, study, evaluation, random.Random(seed)):
            shutil.rmtree(copied.storage, ignore_errors=True)
            shutil.copytree(study.folder, copied.folder)
            with Journal(copied.folder) as cut:
                compare(driver, Driver(copied, cut), study)
        record = driver.finish()
    resting = {"completed", "pruned", "failed"} | ({"paused"} if variant == "promotion" else set())
    assert len(record.trials) == 9 and {trial.state for trial in record.trials} <= resting
    assert record.complete


def test_a_trial_that_others_overtake_stops_between_rungs(
    study: StudyConfig, evaluation: Make
) -> None:
    """The first one passes alone; its stop is a fact, and says why."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        numbers = []
        for _ in range(4):
            trial = driver.next_trial()
            assert trial is not None
            driver.trial_started(trial.number)
            numbers.append(trial.number)
        assert driver.evaluated(1, evaluation(100, 0.5))
        assert driver.progressed(1, 120, "training")
        assert driver.evaluated(2, evaluation(100, 0.6))
        assert driver.progressed(1, 280, "training"), "it is nearly at its next rung"
        assert driver.evaluated(3, evaluation(100, 0.7))
        assert not driver.progressed(2, 140, "training")
        assert driver.evaluated(0, evaluation(100, 0.1)), "the control never stops"
        assert driver.progressed(0, 140, "training")
        stopped = journal.history.trials[2]
    assert stopped.state == "pruned" and stopped.pairs_seen >= 104
    assert stopped.reason == (
        "stopped by ASHA at 100 pairs, when others overtook it there (140 pairs seen)"
    )
    with Journal(study.folder) as journal:
        assert Driver(study, journal)._schedule.waiting == (0, 1, 3)


def test_a_paused_trial_whose_worker_is_lost_afterwards_stays_paused(
    study: StudyConfig, evaluation: Make
) -> None:
    """Ray tells of the loss after the driver has paused it; it is neither retried nor started."""
    study = with_variant(study, "promotion")
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for number in (0, 1):
            assert driver.next_trial() is not None
            driver.trial_started(number)
        assert not driver.evaluated(1, evaluation(100, 0.5))
        driver.attempt_failed(1, "lost", "its node is gone")
        driver.trial_started(1)
        assert not driver.progressed(1, 120, "training")
        paused = journal.history.trials[1]
        assert (paused.state, paused.failures, paused.attempts) == ("paused", (), 1)
        following = driver.next_trial()
        assert following is not None and following.number == 2
