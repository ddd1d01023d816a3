"""A study in brief: kept up to date event by event, and read from a snapshot of its journal."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.search.examples import Make, create, with_variant
from tests.search.test_orders import play
from tuner.journal import snapshot
from tuner.journal.digest import Digest
from tuner.journal.file import FILE
from tuner.journal.history import History
from tuner.journal.journal import read_history
from tuner.search.asha import Variant
from tuner.search.driver import Driver
from tuner.study import StudyConfig

SUMS = ("gpu_seconds", "undisturbed_seconds")


def same(one: Digest, other: Digest) -> None:
    """Equal, but for the rounding of sums, and for how many ran at once, which is told apart."""
    for name in SUMS:
        assert getattr(one.tally, name) == pytest.approx(getattr(other.tally, name))
    plain = dict.fromkeys(SUMS, 0.0)
    tallies = [replace(each.tally, **plain, at_once=1) for each in (one, other)]
    assert replace(one, tally=tallies[0]) == replace(other, tally=tallies[1])


@pytest.fixture(params=["stopping", "promotion"])
def searching(study: StudyConfig, request: pytest.FixtureRequest) -> StudyConfig:
    variant: Variant = request.param
    gpus = study.resources.model_copy(update={"gpus_per_trial": 0.5})
    return with_variant(study, variant).model_copy(update={"resources": gpus})


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_of_the_whole_record(
    searching: StudyConfig, evaluation: Make, seed: int
) -> None:
    with create(searching) as journal:
        driver = Driver(searching, journal)
        driver.start()
        for _ in play(driver, searching, evaluation, random.Random(seed)):
            later = journal.history.clock.latest + 10
            same(Digest.at(journal.history, later), Digest.of(journal.history.record(later)))
        driver.finish()
        same(Digest.at(journal.history), Digest.of(journal.history.record()))


def test_how_many_run_at_once_is_counted_when_one_starts(
    study: StudyConfig, evaluation: Make
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for number in range(3):
            driver.next_trial()
            driver.trial_started(number)
            assert journal.history.tally.at_once == number + 1
        driver.attempt_failed(1, "non_finite", "its loss is not finite")
        assert not driver.evaluated(2, evaluation(900, 0.9))
        assert journal.history.tally.at_once == 3
        assert Digest.of(driver.record()).tally.at_once == 3


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of records that a reader skips, each time; a snapshot is worth it from 5 on."""
    skipped: list[int] = []
    decode = snapshot.decode

    def spied(
        records: list[bytes], folder: Path, before: History | None = None, first: int = 0
    ) -> tuple[History, int]:
        skipped.append(first)
        return decode(records, folder, before, first)

    monkeypatch.setattr(snapshot, "WORTH", 5)
    monkeypatch.setattr(snapshot, "decode", spied)
    return skipped


def test_a_snapshot_and_the_records_since_are_the_journal(
    searching: StudyConfig, evaluation: Make, folds: list[int]
) -> None:
    with create(searching) as journal:
        driver = Driver(searching, journal)
        driver.start()
        for _ in play(driver, searching, evaluation, random.Random(1)):
            brief = snapshot.brief_history(searching.folder)
            same(Digest.at(brief), Digest.at(read_history(searching.folder)))
        record = driver.finish()
    assert len({*folds}) > 5, "later snapshots replace earlier ones"
    brief = snapshot.brief_history(searching.folder)
    assert len(brief.trials) < len(record.trials), "what has ended is not kept"


def garbage(folder: Path) -> None:
    (folder / snapshot.SNAPSHOT).write_bytes(b"{]")


def other_format(folder: Path) -> None:
    changed(folder, format=snapshot.FORMAT + 1)


def other_folder(folder: Path) -> None:
    changed(folder, folder="/elsewhere")


def other_records(folder: Path) -> None:
    changed(folder, last=0)


def beyond_the_end(folder: Path) -> None:
    changed(folder, records=10_000, start=10**9)


def within_a_record(folder: Path) -> None:
    plain = json.loads((folder / snapshot.SNAPSHOT).read_bytes())
    changed(folder, start=plain["start"] + 3)


def a_running_trial_missing(folder: Path) -> None:
    plain = json.loads((folder / snapshot.SNAPSHOT).read_bytes())["history"]
    changed(folder, history={**plain, "under_way": [99], "trials": {}})


def sums_of_no_trial(folder: Path) -> None:
    plain = json.loads((folder / snapshot.SNAPSHOT).read_bytes())["history"]
    tally = {**plain["tally"], "at_once": 0, "undisturbed": 3}
    changed(folder, history={**plain, "tally": tally})


def trials_missing(folder: Path) -> None:
    """The journal was restored from a backup, and other records followed."""
    lines = (folder / FILE).read_bytes().splitlines(keepends=True)
    (folder / FILE).write_bytes(b"".join(lines[: len(lines) // 2]))


def changed(study: Path, **changes: object) -> None:
    plain = json.loads((study / snapshot.SNAPSHOT).read_bytes())
    (study / snapshot.SNAPSHOT).write_text(json.dumps({**plain, **changes}))


FAULTS: list[Callable[[Path], None]] = [
    garbage, other_format, other_folder, other_records, beyond_the_end, within_a_record,
    a_running_trial_missing, sums_of_no_trial, trials_missing,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_snapshot_that_does_not_fit_counts_for_nothing(
    study: StudyConfig, evaluation: Make, folds: list[int], fault: Callable[[Path], None]
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for _ in play(driver, study, evaluation, random.Random(2)):
            pass
        driver.finish()
    assert isinstance(study.folder, Path)
    snapshot.brief_history(study.folder)
    snapshot.brief_history(study.folder)
    assert folds[0] == 0 < folds[1], "it is used"
    fault(study.folder)
    brief = snapshot.brief_history(study.folder)
    assert folds[-1] == 0
    same(Digest.at(brief), Digest.at(read_history(study.folder)))


def test_a_study_that_cannot_be_written_to_is_read(
    study: StudyConfig, evaluation: Make, folds: list[int]
) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        for _ in play(driver, study, evaluation, random.Random(3)):
            pass
    assert isinstance(study.folder, Path)
    (study.folder / snapshot.SNAPSHOT).mkdir()  # so that it cannot be replaced
    for _ in range(2):
        brief = snapshot.brief_history(study.folder)
        same(Digest.at(brief), Digest.at(read_history(study.folder)))
    assert folds == [0, 0]


def test_the_format_has_the_number_of_its_fields() -> None:
    """A snapshot of other fields must not be read: raise FORMAT, and put the new sum here."""
    schema = json.dumps(TypeAdapter(snapshot._Snapshot).json_schema(), sort_keys=True)
    known = {4: "dc0c5ffc0134983b"}
    assert hashlib.sha256(schema.encode()).hexdigest()[:16] == known[snapshot.FORMAT]
