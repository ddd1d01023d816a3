"""The journal on a disk and where other machines can write: one writer, torn and damaged records.

What is in an object store is in `test_object_store.py`.
"""

from __future__ import annotations

import json
import os
import random
import resource
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records import FACTS, facts
from tests.search.examples import create, run
from tuner import __version__
from tuner.blocks import Words
from tuner.errors import StorageFull, UserError
from tuner.journal import journal as journal_module
from tuner.journal import segments
from tuner.journal.events import DriverEnded, DriverStarted, StudyCreated, TrialEnded
from tuner.journal.file import lines
from tuner.journal.format import decode
from tuner.journal.journal import FILE, Journal, being_written, check_free, read_history, studies_in
from tuner.journal.lease import Lease
from tuner.journal.records import Evaluation
from tuner.report.page.provenance import TRANSLATED
from tuner.report.page.provenance import data as data_section
from tuner.search.driver import Driver
from tuner.statistics.tables import protocol_of
from tuner.storage import access
from tuner.study import StudyConfig

Make = Callable[[int, float], Evaluation]


@pytest.fixture(params=["local", "shared"])
def study_there(
    request: pytest.FixtureRequest, study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> StudyConfig:
    """On a local disk, and on one that is taken for a network file system."""
    monkeypatch.setattr(journal_module, "is_shared", lambda _: request.param == "shared")
    return study


def begun(study: StudyConfig, make: Make) -> Path:
    """The folder of a study with a few trials and evaluations."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, make, stop_after=4)
    assert isinstance(study.folder, Path)
    return study.folder


@pytest.mark.parametrize("known", [True, False, None])
def test_a_study_begins_whatever_is_known_of_its_translation(
    study: StudyConfig, known: bool | None
) -> None:
    created = StudyCreated(
        time=1.0,
        name=study.name,
        id="abc",
        settings=study.model_dump(mode="json"),
        facts=facts(data={"machine_translated": known}),
        rungs=study.rungs,
    )
    with Journal.create(study.folder, created):
        record = read_history(study.folder).record()
    told = {True: "yes", False: "no", None: "unknown"}[known]
    assert protocol_of(record).claim.endswith(f"(machine-translated: {told})")
    words = data_section(record).blocks[0]
    assert isinstance(words, Words) and TRANSLATED[known] in words.text


def record_files(folder: Path) -> list[Path]:
    return sorted((folder / "journal").glob("*.json"))


def test_torn_last_record_is_dropped_and_the_report_stands(
    study: StudyConfig, evaluation: Make
) -> None:
    """Cut anywhere inside the last record: one record is lost, and nothing else."""
    path = begun(study, evaluation) / FILE
    whole = path.read_bytes()
    records = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(records[:-1]))
    expected = read_history(study.folder).record()
    rng = random.Random(0)
    start = len(whole) - len(records[-1])
    for cut in [start + 1, len(whole) - 1, *rng.sample(range(start + 1, len(whole)), 10)]:
        path.write_bytes(whole[:cut])
        assert read_history(study.folder).record() == expected
    flipped = bytearray(whole)
    flipped[-20] ^= 1  # right length, wrong content: a page that was not written out
    zeros = whole[:start] + bytes(len(whole) - start)
    carriage_return = whole[: start + 30] + b"\r" + whole[start + 31 :]
    deep = whole[:start] + DEEP
    noise = whole[: start + 9] + b"\x91\n\xfe{}\n[1]\n\x07"  # which has ends of lines
    for damaged in (flipped, zeros, carriage_return, deep, noise):
        path.write_bytes(damaged)
        assert read_history(study.folder).record() == expected
    with Journal(study.folder) as journal:  # the writer cuts it off and goes on
        Driver(study, journal).start()
    assert len(path.read_bytes().splitlines()) == len(records)


def test_a_damaged_last_segment_is_dropped(
    study: StudyConfig, evaluation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "is_shared", lambda _: True)
    folder = begun(study, evaluation)
    *before, last = record_files(folder)
    last.write_bytes(last.read_bytes()[:-5])
    assert len(read_history(folder).trials) > 0
    with Journal(folder) as journal:
        assert record_files(folder) == before
        journal.append(DriverStarted(time=1e9))
    assert b"driver_started" in last.read_bytes()


def test_a_driver_that_may_not_be_alone_writes_nothing_more(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease has expired; or it does not know whether its last record arrived: it did."""
    monkeypatch.setattr(journal_module, "is_shared", lambda _: True)
    assert isinstance(study.folder, Path)

    def expired(_: object) -> None:
        raise UserError("the lease has expired")

    with create(study) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(Lease, "check", expired)
            with pytest.raises(UserError, match="the lease has expired"):
                journal.append(DriverStarted(time=2))
        assert len(record_files(study.folder)) == 1

    def unanswered(path: Path, content: bytes) -> bool:
        access.create(path, content)
        raise UserError("no answer")

    with Journal(study.folder) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(segments, "create", unanswered)
            with pytest.raises(UserError, match="no answer"):
                journal.append(DriverStarted(time=2))
        with pytest.raises(UserError, match="no answer"):
            journal.append(DriverEnded(time=3, state="failed"))
    with Journal(study.folder) as journal:
        assert journal.history.record().state == "running"
        journal.append(DriverEnded(time=3, state="failed"))
    assert read_history(study.folder).record().state == "failed"


def test_damage_in_the_middle_is_an_error(study_there: StudyConfig, evaluation: Make) -> None:
    """Never skipped: the records after it may depend on it."""
    folder = begun(study_there, evaluation)
    path = folder / FILE if (folder / FILE).exists() else record_files(folder)[1]
    content = bytearray(path.read_bytes())
    content[content.index(b"driver_started")] ^= 1
    path.write_bytes(content)
    for look in (read_history, Journal):
        with pytest.raises(UserError, match="record 2 is damaged"):
            look(folder)
    assert path.read_bytes() == content


def test_one_writer(study_there: StudyConfig) -> None:
    """A second driver on the same study is refused; a new study under its name, too."""
    with create(study_there):
        assert being_written(study_there.folder)
        with pytest.raises(UserError, match="another process"):
            Journal(study_there.folder)
        with pytest.raises(UserError, match="already exists"):
            create(study_there)
        with pytest.raises(UserError, match="already exists"):
            check_free(study_there.folder)
    assert not being_written(study_there.folder)
    with Journal(study_there.folder):
        assert being_written(study_there.folder)
    assert [folder.name for folder in studies_in(study_there.storage)] == ["small"]
    assert sorted(path.name for path in study_there.storage.iterdir()) == ["small"]


def test_a_copy_is_read_wherever_it_is(
    study: StudyConfig, evaluation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments on a local disk, which go on; one file where it is not safe, which does not."""
    folder = begun(study, evaluation)
    expected = read_history(folder).record()
    monkeypatch.setattr(journal_module, "is_shared", lambda _: True)
    assert read_history(folder).record() == expected
    with pytest.raises(UserError, match=r"one file, .* only on a local disk"):
        Journal(folder)

    records = (folder / FILE).read_bytes().splitlines(keepends=True)
    (folder / FILE).unlink()
    (folder / "journal").mkdir()
    for number, record in enumerate(records):
        (folder / "journal" / f"{number:012d}.json").write_bytes(record)
    monkeypatch.undo()
    assert read_history(folder).record() == expected
    with Journal(folder) as journal:
        journal.append(DriverStarted(time=1e9))
    assert len(record_files(folder)) == len(records) + 1


def test_unknown_study_names_the_known_ones(study: StudyConfig) -> None:
    """The remedy is in the message; for writing too."""
    with create(study):
        pass
    (study.storage / "file").write_text("")
    for name in ("smal", "file"):
        for look in (read_history, Journal):
            with pytest.raises(UserError, match=r"no study (smal|file) in .*\nKnown there: small"):
                look(study.storage / name)
    with pytest.raises(UserError, match="There are no studies there"):
        read_history(study.storage / "nowhere" / "small")


@pytest.fixture
def written_at_most() -> Iterator[Callable[[int], None]]:
    """Limits how large files may become that this process writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_record_that_has_no_room_leaves_nothing(
    study_there: StudyConfig, written_at_most: Callable[[int], None]
) -> None:
    """Half of it was written; the next one, for which there is room again, follows the last."""
    with create(study_there) as journal:
        journal.append(DriverStarted(time=2))
        size = max(path.stat().st_size for path in study_there.folder.rglob("*.json*"))
        long = TrialEnded(time=3, number=0, state="failed", reason="x" * size)
        written_at_most(size + 40)
        with pytest.raises(StorageFull, match="no space is left"):
            journal.append(long)
        written_at_most(resource.RLIM_INFINITY)
        journal.append(DriverEnded(time=4, state="failed", reason="so it is"))
        expected = journal.history.record()
    assert expected.state == "failed"
    assert read_history(study_there.folder).record() == expected
    left = {path.name for path in study_there.folder.rglob("*") if path.is_file()}
    numbered = {f"{number:012d}.json" for number in range(3)}
    assert left in ({FILE}, {"000001.json", *numbered})


@pytest.mark.takes_long("a Python of its own, on a file system of its own")
def test_a_full_disk_costs_the_last_record_alone(small_disk: Callable[[str, str], str]) -> None:
    """A real one: what was written before stands, and when there is room, it goes on."""
    told = small_disk(
        "64k",
        """
        from pathlib import Path
        from tuner.errors import StorageFull
        from tuner.journal.events import DriverStarted, StudyCreated, SettingsChanged
        from tuner.journal.journal import Journal, read_history

        settings = {
            "name": "mine",
            "data": {"source": "nano"},
            "languages": {"source": ["en"]},
            "budget": {"pairs_per_trial": 1, "trials": 1},
            "storage": ".",
        }
        facts = {
            "claim": "",
            "objective": "",
            "majority_accuracy": 0.5,
            "data": {
                "source": "nano",
                "checksum": "",
                "languages": [],
                "counts": {},
                "machine_translated": False,
            },
            "encoder": {"name": "nano", "checksum": "", "layers": 4},
        }
        folder = Path("studies/mine")
        created = StudyCreated(
            time=0, name="mine", id="1", settings=settings, facts=facts, rungs=(1,)
        )
        Path("ballast").write_bytes(bytes(16_000))
        with Journal.create(folder, created) as journal:
            fits = 0
            try:
                while True:
                    changed = {"tracking": {"experiment": "x" * 1000}}
                    journal.append(SettingsChanged(time=1, settings=changed))
                    fits += 1
            except StorageFull as error:
                assert str(folder) in str(error)
            settings = read_history(folder).record().settings
            assert len(settings.tracking.experiment) == 1000
            Path("ballast").unlink()
            journal.append(DriverStarted(time=2))
        count = len((folder / "journal.jsonl").read_bytes().splitlines())
        print(fits, count, read_history(folder).record().state)
        """,
    )
    fits, count, state = told.split()
    assert int(fits) > 5 and int(count) == int(fits) + 2 and state == "running"


def sealed(body: dict[str, Any]) -> bytes:
    """A record with a right checksum, whatever it says."""
    text = json.dumps(body, ensure_ascii=False)
    return f'{text[:-1]}, "crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


DEEP = b'{"n": 1, "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (b"\xff\xfe\x00\n", "damaged"),
        (b"\x00" * 50 + b"\n", "damaged"),
        (DEEP, "damaged"),
        (b'{"n": ' + b"9" * 5000 + b"}\n", "digits"),
        (b'{"n": 1, "time": 1e999}\n', "damaged"),
        (b"[1, 2]\n", "not a record"),
        (sealed({"n": 2, "event": "driver_started", "time": 2}), "its number should be 1"),
        (sealed({"n": 1, "event": "driver_started", "time": 1e308}), r"its time, 1e\+308"),
        (sealed({"n": 1, "event": "invented", "time": 2}), "does not match any of the expected"),
        (sealed({"n": 1, "event": "driver_started"}), "time: Field required"),
        (
            sealed({"n": 1, "event": "trial_started", "time": 2, "number": 7}),
            "trial 7 was never created",
        ),
        (
            sealed({"n": 1, "event": "progressed", "time": 2, "pairs_seen": {"7": 10}}),
            "trial 7 was never created",
        ),
        (
            sealed({"n": 1, "event": "settings_changed", "time": 2, "settings": {"budget": 3}}),
            "budget: Input should be a valid dict",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_driver_wrote_is_told(study: StudyConfig, record: bytes, told: str) -> None:
    """In the middle, so that it is not taken for torn; and nothing of the file is changed."""
    with create(study) as journal:
        journal.append(DriverStarted(time=2))
    path = study.folder / FILE
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + record + second)
    for look in (read_history, Journal):
        with pytest.raises(UserError, match=f"record 2 is damaged: .*{told}|{told}"):
            look(study.folder)
    assert path.read_bytes() == first + record + second


def test_a_sound_last_record_that_is_not_understood_is_no_torn_one(study: StudyConfig) -> None:
    """A record of a newer version is not cut off."""
    with create(study):
        pass
    path = study.folder / FILE
    content = path.read_bytes() + sealed({"n": 1, "event": "invented", "time": 2})
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"record 2 is not .* of this version, {__version__}: "):
        Journal(study.folder)
    assert path.read_bytes() == content


@pytest.mark.parametrize("where", ["a driver's", "the study's", "of this one"])
def test_a_journal_of_another_version_names_it(study: StudyConfig, where: str) -> None:
    """It is not called damaged, and nobody is told to restore what is whole."""
    with create(study):
        pass
    path = study.folder / FILE
    created = json.loads(path.read_bytes())
    del created["crc"]
    if where == "the study's":
        created["facts"]["environment"] = {"tuner": "9.1"}
    records = [created, {"n": 1, "event": "driver_started", "time": 2.0, "tuner": __version__}]
    if where == "a driver's":
        records[1] |= {"tuner": "9.1", "priority": 3}
    if where == "the study's":
        records[1] = {"n": 1, "event": "trial_paused", "time": 2.0}
    if where == "of this one":
        records.append({"n": 2, "event": "trial_paused", "time": 2.0})
    path.write_bytes(b"".join(map(sealed, records)))
    content = path.read_bytes()
    for look in (read_history, Journal):
        with pytest.raises(UserError, match=f"is not .* of this version, {__version__}") as raised:
            look(study.folder)
        other = where != "of this one"
        assert ("; version 9.1 wrote it" in raised.value.problem) == other
        assert ("Use version 9.1 of this tool, or a newer one" in raised.value.remedy) == other
        assert ("estore" in raised.value.remedy) != other
    assert path.read_bytes() == content


def test_a_driver_writes_its_version(study: StudyConfig) -> None:
    with create(study) as journal:
        Driver(study, journal).start()
    lines = (study.folder / FILE).read_bytes().splitlines()
    assert json.loads(lines[1])["tuner"] == __version__


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "../../x"}, r"study '../../x', .* 'small'"),
        ({"rungs": []}, "its rungs"),
        ({"settings": {}}, "settings.storage is missing"),
        ({"settings": {"storage": "x"}}, "name: Field required"),
        ({"facts": {"claim": 3}}, "claim: Input should be a valid string"),
        ({"event": "driver_started"}, "record 1 is not .* of this version"),
    ],
)
def test_a_beginning_that_is_none(study: StudyConfig, changes: dict[str, Any], told: str) -> None:
    with create(study):
        pass
    path = study.folder / FILE
    created = json.loads(path.read_bytes())
    del created["crc"]
    path.write_bytes(sealed({**created, **changes}))
    with pytest.raises(UserError, match=told):
        read_history(study.folder)


def test_a_second_beginning(study: StudyConfig) -> None:
    with create(study):
        pass
    path = study.folder / FILE
    created = json.loads(path.read_bytes())
    del created["crc"]
    again = {**created, "n": 1}
    path.write_bytes(sealed(created) + sealed(again))
    with pytest.raises(UserError, match="the creation of the study must be the first record"):
        read_history(study.folder)


def test_a_journal_that_is_no_plain_file(study: StudyConfig) -> None:
    """A link is not followed, a pipe not waited for; nothing they lead to is changed."""
    with create(study):
        pass
    path, elsewhere = study.folder / FILE, study.storage / "elsewhere"
    path.rename(elsewhere)
    content = elsewhere.read_bytes()
    for make in (lambda: path.symlink_to(elsewhere), lambda: os.mkfifo(path), path.mkdir):
        make()
        for look in (read_history, Journal, being_written):
            with pytest.raises(UserError, match=r"is not a regular file|is a link"):
                look(study.folder)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert elsewhere.read_bytes() == content
    path.touch()
    with pytest.raises(UserError, match="is empty"):
        read_history(study.folder)


def test_a_journal_that_may_not_be_read(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with create(study):
        pass
    monkeypatch.chdir(study.storage)
    for path, mode in ((Path(), 0o755), (Path("small"), 0o755), (Path("small", FILE), 0)):
        path.chmod(mode)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        for look in (read_history, Journal, being_written):
            with pytest.raises(UserError, match="cannot be used: Permission denied"):
                look(Path("small"))
    finally:
        os.seteuid(user)


@given(st.data())
def test_any_damage_gives_a_study_or_a_user_error(data: st.DataObject) -> None:
    """Bytes changed, cut out, doubled or put in anywhere."""
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(len(content), at + 400)))
        content[at:end] = data.draw(
            st.one_of(st.binary(max_size=20), st.just(bytes(content[at:end]) * 2))
        )
    try:
        history, sound = decode(lines(bytes(content)), Path("small"))
    except UserError:
        return
    assert history.record().name == "small" and sound >= 1


SOUND = b"".join(
    [
        sealed(
            {
                "n": 0,
                "time": 1.0,
                "event": "study_created",
                "name": "small",
                "id": "a",
                "settings": {
                    "name": "small",
                    "data": {"source": "nano"},
                    "languages": {"source": ["en"]},
                    "budget": {"pairs_per_trial": 300, "trials": 1},
                    "storage": "x",
                },
                "facts": FACTS,
                "rungs": [100, 300],
            }
        ),
        sealed({"n": 1, "time": 2.0, "event": "driver_started"}),
        sealed(
            {
                "n": 2,
                "time": 3.0,
                "event": "trial_created",
                "number": 0,
                "origin": "sampler",
                "params": {},
                "config": {},
            }
        ),
        sealed({"n": 3, "time": 4.0, "event": "trial_started", "number": 0}),
        sealed({"n": 4, "time": 5.0, "event": "progressed", "pairs_seen": {"0": 50}}),
        sealed({"n": 5, "time": 6.0, "event": "trial_ended", "number": 0, "state": "interrupted"}),
    ]
)


def test_a_folder_that_may_not_be_written_is_refused_before_anything(tmp_path: Path) -> None:
    """By another user than root, who may write anywhere."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        read, write = os.pipe()
        if not (child := os.fork()):
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                check_free(Path(name) / "studies" / "mine")
            except UserError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read) as told:
            assert f"{name} is not writable, so the study's folder" in told.read()
        os.chmod(name, 0o755)
        check_free(Path(name) / "studies" / "mine")
