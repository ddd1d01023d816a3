"""The journal on a disk and where other machines can write: one writer, torn and damaged records.

What is in an object store is in `test_object_store.py`.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journal.examples import Make, begun, record_files
from tests.records import facts
from tests.search.examples import create
from tuner.blocks import Words
from tuner.errors import StorageFull, UserError
from tuner.journal import journal as journal_module
from tuner.journal import segments
from tuner.journal.events import DriverEnded, DriverStarted, StudyCreated, TrialEnded
from tuner.journal.journal import FILE, Journal, being_written, check_free, read_history, studies_in
from tuner.journal.lease import Lease
from tuner.report.page.provenance import TRANSLATED
from tuner.report.page.provenance import data as data_section
from tuner.statistics.tables import protocol_of
from tuner.storage import access
from tuner.study import StudyConfig


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
