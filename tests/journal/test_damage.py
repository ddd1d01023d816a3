"""Journals that are damaged: the last record is dropped, and any other damage is an error."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.examples import DEEP, Make, begun, record_files, sealed
from tests.records import FACTS
from tests.search.examples import create
from tuner import __version__
from tuner.errors import UserError
from tuner.journal import journal as journal_module
from tuner.journal.events import DriverStarted
from tuner.journal.file import lines
from tuner.journal.format import decode
from tuner.journal.journal import FILE, Journal, being_written, read_history
from tuner.search.driver import Driver
from tuner.study import StudyConfig


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
