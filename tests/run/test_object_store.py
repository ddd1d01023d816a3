"""Studies in a real object store: moto's S3 server, a process of its own on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import pytest
from upath import UPath

from tests.processes import SMOKE, Command, finish, runs_in_mlflow
from tests.search.examples import configurations, create, run
from tests.waiting import until
from tuner.cli import main
from tuner.errors import UserError
from tuner.journal import lease
from tuner.journal.events import DriverStarted
from tuner.journal.journal import Journal, being_written, check_free, read_history, studies_in
from tuner.journal.records import Evaluation
from tuner.journal.segments import read_segments
from tuner.search.driver import Driver
from tuner.storage import access
from tuner.storage.location import located
from tuner.study import StudyConfig
from tuner.study.file import reopened_study

pytestmark = pytest.mark.integration

Make = Callable[[int, float], Evaluation]


@pytest.fixture
def there(study: StudyConfig, bucket: UPath) -> StudyConfig:
    """The small study in the object store."""
    return study.model_copy(update={"storage": bucket})


def begun(study: StudyConfig, make: Make, stop_after: int = 4) -> None:
    """Train as far as so many evaluations."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, make, stop_after=stop_after)


def names(folder: UPath) -> list[str]:
    return sorted(found.rpartition(f"{folder.path}/")[2] for found in folder.fs.find(folder.path))


def test_a_study_there_is_the_same_as_here(
    study: StudyConfig, there: StudyConfig, evaluation: Make
) -> None:
    """Interrupted and resumed on the store, uninterrupted on the disk: the same study."""
    begun(there, evaluation, stop_after=5)
    with Journal(there.folder) as journal:
        driver = Driver(there, journal)
        driver.start()
        run(driver, there, evaluation)
        driver.finish()
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation)
        here = driver.finish()
    record = read_history(there.folder).record()
    assert record.state == "completed"
    assert configurations(record) == configurations(here)
    assert reopened_study(record.settings, there.folder) == there
    written = names(there.folder)
    assert written[:2] == ["drivers/000001.json", "drivers/000002.json"]
    assert written[2:] == [f"journal/{number:012d}.json" for number in range(len(written) - 2)]


def test_segments_are_created_once(bucket: UPath) -> None:
    """The store refuses a second one (If-None-Match), also among many at the same time."""
    path = bucket / "journal" / "0.json"
    assert access.create(path, b"first")
    assert not access.create(path, b"second")
    assert access.create(path, b"first"), "whose answer was lost on the way"
    won: list[int] = []

    def race(number: int) -> None:
        if access.create(bucket / "race", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and (bucket / "race").read_bytes() == b"%d" % won[0]


def test_one_driver_at_a_time(
    there: StudyConfig, bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one is told who is at work; a new study under the name is refused."""
    with create(there):
        assert being_written(there.folder)
        with pytest.raises(UserError, match=r"another process .*: the driver on .*process \d+"):
            Journal(there.folder)
        with pytest.raises(UserError, match="already exists"):
            create(there)
        with pytest.raises(UserError, match="already exists"):
            check_free(there.folder)
    assert not being_written(there.folder)
    assert [folder.name for folder in studies_in(bucket)] == ["small"]


def test_a_driver_that_was_overtaken_writes_nothing(
    there: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused past its lease, and past its last look at it: the journal itself stops it."""
    slept = create(there)
    slept.append(DriverStarted(time=2))
    monkeypatch.setattr(lease.Lease, "_is_free", lambda *_: True)  # as if a minute had passed
    with Journal(there.folder) as journal:
        journal.append(DriverStarted(time=3))
        monkeypatch.setattr(lease.Lease, "check", lambda _: None)  # its look was just before
        for _ in range(2):
            with pytest.raises(UserError, match="another driver has taken over"):
                slept.append(DriverStarted(time=4))
        journal.append(DriverStarted(time=5))
    times = [json.loads(record)["time"] for record in read_segments(there.folder)]
    assert times == [1, 2, 3, 5]
    with slept:
        pass


def test_the_last_record_may_be_damaged_and_no_other(there: StudyConfig, evaluation: Make) -> None:
    begun(there, evaluation)
    folder = there.folder
    segments = sorted((folder / "journal").iterdir(), key=str)
    whole = segments[-1].read_bytes()
    segments[-1].unlink()
    expected = read_history(folder).record()
    for damaged in (b"", whole[:-7], whole.replace(b'"n"', b'"m"')):
        segments[-1].write_bytes(damaged)
        assert read_history(folder).record() == expected
    with Journal(folder) as journal:  # its number is free again
        journal.append(DriverStarted(time=9))
    assert b"driver_started" in segments[-1].read_bytes()

    second = segments[1].read_bytes()
    segments[1].write_bytes(second[:-7])
    with pytest.raises(UserError, match="record 2 is damaged"):
        read_history(folder)
    segments[1].unlink()
    with pytest.raises(UserError, match=r"record 2: 000000000001\.json is missing"):
        Journal(folder)


def test_what_was_read_is_not_read_again(
    there: StudyConfig, evaluation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(there, evaluation)
    read_history(there.folder)
    asked: list[str] = []
    cat = there.folder.fs.cat

    def counted(paths: list[str]) -> object:
        asked.extend(paths)
        return cat(paths)

    monkeypatch.setattr(there.folder.fs, "cat", counted)
    with Journal(there.folder) as journal:
        journal.append(DriverStarted(time=2e9))
    asked.clear()
    assert read_history(there.folder).record().state == "running"
    assert len(asked) == 1


def test_what_others_write_is_seen(there: StudyConfig, bucket: UPath) -> None:
    """By another process, after this one has listed the folder."""
    other = UPath(bucket, skip_instance_cache=True)
    assert studies_in(bucket) == [] and read_segments(there.folder) == []
    for number in range(2):
        other.fs.pipe_file((there.folder / "journal" / f"{number:012d}.json").path, b"1")
        assert len(read_segments(there.folder)) == number + 1


def test_the_commands(
    there: StudyConfig,
    bucket: UPath,
    evaluation: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """By name and storage or by folder; what they tell to do next can be copied."""
    monkeypatch.chdir(tmp_path)

    def tuner(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tuner", *arguments])
        code = 0
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
        printed = capsys.readouterr()
        assert "planted-secret" not in printed.out + printed.err
        return code, printed.out + printed.err

    begun(there, evaluation)
    storage = ("--storage", str(bucket))
    assert tuner("status", "small", *storage) == tuner("status", f"{bucket}/small")
    code, printed = tuner("status", "small", *storage, "--watch")
    assert code == 0 and "its driver died" in printed  # it wrote no end
    (shown,) = re.findall(r"tuner (resume small --storage \S+)", printed)
    assert shown.endswith(str(bucket))
    code, printed = tuner("list", *storage, "--json")
    (listed,) = json.loads(printed)
    assert code == 0 and listed["folder"] == f"{bucket}/small" and listed["state"] == "driver died"
    code, printed = tuner("report", "small", *storage)
    assert code == 0 and f"{bucket}/small/leaderboard.csv" in printed
    assert (there.folder / "leaderboard.csv").read_text().startswith("rank,trial,")
    assert tuner("report", f"{bucket}/smal") == (
        2,
        f"error: there is no study smal in {bucket}\n"
        "Known there: small. Studies elsewhere: --storage FOLDER.\n",
    )
    assert tuner("report", f"{bucket}/..")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_used_is_told(
    bucket: UPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bucket, no way in, a store that overwrites: before anything starts."""
    with pytest.raises(UserError, match=r"cannot be used: The specified bucket does not exist"):
        check_free(located("s3://no-such-bucket/studies") / "mine")

    pipe_file = bucket.fs.pipe_file

    def overwrites(path: str, value: bytes, mode: str = "overwrite") -> object:
        return pipe_file(path, value)

    monkeypatch.setattr(bucket.fs, "pipe_file", overwrites)
    with pytest.raises(UserError, match="If-None-Match"):
        check_free(bucket / "mine")
    assert names(bucket) == []


def test_a_folder_there_survives_the_way_to_a_worker(there: StudyConfig) -> None:
    there.folder.joinpath("x").write_bytes(b"1")
    arrived = cloudpickle.loads(cloudpickle.dumps(there))  # as Ray does
    assert arrived == there and arrived.trial_folder(3) == there.trial_folder(3)
    assert (arrived.folder / "x").read_bytes() == b"1"
    assert b"planted-secret" not in cloudpickle.dumps(there)


def evaluations(folder: UPath) -> int:
    return sum(at.reached for at in read_history(folder).tally.rungs.values())


@pytest.mark.slow
def test_a_search_killed_and_resumed(bucket: UPath, tuner: Command, place: Path) -> None:
    """Journal, checkpoints and the best weights there; nothing trained twice, and no secret."""
    folder = bucket / "smoke"
    options = ["--set", f"storage={bucket}", "--set", "budget.trials=2"]
    more = ["--set", "budget.pairs_per_trial=6400", "--set", "checkpoint.every_seconds=0.5"]
    search = tuner("search", str(SMOKE), *options, *more)
    deadline = time.monotonic() + 120
    while not studies_in(bucket) or evaluations(folder) < 3:
        assert search.poll() is None, finish(search)
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert being_written(folder)
    before = read_history(folder).record()
    os.killpg(search.pid, signal.SIGKILL)  # and Ray, as a machine dies
    search.wait()
    until(lambda: not being_written(folder), "the end of the driver")

    code, printed = finish(tuner("resume", "smoke", "--storage", str(bucket)))
    assert code == 0, printed
    study = read_history(folder).record()
    assert study.state == "completed" and len(study.trials) == 2
    assert any(trial.attempts == 2 for trial in study.trials)
    for trial, earlier in zip(study.trials, before.trials, strict=False):
        assert trial.evaluations[: len(earlier.evaluations)] == earlier.evaluations
    left = names(folder)
    assert [name for name in left if name.startswith("trials/")] == []
    assert [name for name in left if name.startswith("drivers/")] == [
        "drivers/000001.json",
        "drivers/000002.json",
    ]
    assert len(runs_in_mlflow(place)[1]) == 2, "no object store holds a database"
    kept = b"".join(read_segments(folder)) + printed.encode()
    assert b"planted-secret" not in kept
