"""Records that no driver of this version wrote: other beginnings, versions and contents."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from tests.journal.examples import DEEP, sealed
from tests.search.examples import create
from tuner import __version__
from tuner.errors import UserError
from tuner.journal.events import DriverStarted
from tuner.journal.journal import FILE, Journal, read_history
from tuner.search.driver import Driver
from tuner.study import StudyConfig


def closed(beginning: bytes) -> bytes:
    """A record without its closing brace, with the checksum that belongs to it."""
    checksum = zlib.crc32(beginning + b"}")
    return beginning + b', "crc": "%08x"}\n' % checksum


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (b"\xff\xfe\x00\n", "damaged"),
        (b"\x00" * 50 + b"\n", "damaged"),
        (DEEP, "damaged"),
        (closed(b'{"n": ' + b"9" * 5000), "digits"),
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
