"""The register of test readings knows a test by its items, not by its or a study's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.confirm.arms import two_arms
from tests.confirm.searches import journal_of, searched
from tests.confirm.test_two_stages import trained
from tests.records import with_facts
from tuner.confirm.design import confirmation
from tuner.confirm.result import Confirmed
from tuner.confirm.sentences import sentences
from tuner.data.corpus import Corpus, Row
from tuner.errors import UserError
from tuner.journal import events
from tuner.journal.journal import Journal
from tuner.journal.readings import (
    FOLDER,
    Reading,
    earlier,
    opening,
    read_before,
    register,
)
from tuner.search.driver import Driver

DAY = 86400.0
NOVEMBER = 1_764_000_000.0
"""2025-11-24."""


def reading(study: str, id_: str, time: float = NOVEMBER, **items: str) -> Reading:
    return Reading(study=study, id=id_, time=time, items=items)


def test_a_test_is_known_by_its_items(tmp_path: Path) -> None:
    register(tmp_path, reading("second", "b", NOVEMBER + DAY, es="1", ja="2"))
    register(tmp_path, reading("first", "a", en="0", es="1"))
    register(tmp_path, reading("other data", "c", es="9"))
    found = earlier(tmp_path, {"spanish": "1"})
    assert [each.study for each in found] == ["first", "second"], "under another code, too"
    assert read_before(found) == (
        "this test was read 2 times before: first on 2025-11-24, second on 2025-11-25"
    )
    assert [each.study for each in earlier(tmp_path, {"es": "1"}, own="a")] == ["second"]
    assert read_before(earlier(tmp_path, {"es": "none of them"})) == ""
    assert earlier(tmp_path / "elsewhere", {"es": "1"}) == []


def test_the_first_record_of_a_study_stays(tmp_path: Path) -> None:
    """An interrupted reading goes on, and a study that is renamed is the same one."""
    register(tmp_path, reading("first", "a", es="1"))
    register(tmp_path, reading("renamed", "a", NOVEMBER + DAY, es="1"))
    (found,) = earlier(tmp_path, {"es": "1"})
    assert (found.study, found.time) == ("first", NOVEMBER)


def test_no_name_leaves_the_folder_and_no_damage_passes_in_silence(tmp_path: Path) -> None:
    register(tmp_path, reading("bad", "../../outside", es="1"))
    register(tmp_path, reading("good", "b", es="1"))
    assert not (tmp_path.parent / "outside.json").exists()
    assert [each.study for each in earlier(tmp_path, {"es": "1"})] == ["bad", "good"]
    (tmp_path / FOLDER / f"{'0' * 32}.json").write_text("{")
    with pytest.raises(UserError, match=f"{'0' * 32}.json is damaged"):
        earlier(tmp_path, {"es": "1"})


def corpus(code: str, label: int = 0) -> Corpus:
    rows = {code: {"1": Row("1", "a", "b", label), "2": Row("2", "c", "d", 1)}}
    return Corpus((code,), ("0", "1"), {"test": rows}, (), False)


def test_items_are_pairs_and_labels_whatever_the_language_is_called() -> None:
    assert corpus("es").items_of("test")["es"] == corpus("xx").items_of("test")["xx"]
    assert corpus("es").items_of("test") != corpus("es", label=1).items_of("test")
    assert corpus("es").items_of("dev") == {}


def test_a_study_is_registered_before_it_reads_and_told_of_others(tmp_path: Path) -> None:
    """Once, whatever happens afterwards; the claim and the conclusion say so."""
    search = with_facts(searched(tmp_path), data={"test_items": {"es": "1"}})
    register(tmp_path, reading("another-confirm", "x", es="1"))
    made = confirmation(search, tmp_path / "small", 1, (1, 2))
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        trained(driver, made, {})
        opened = opening(tmp_path, driver.record())
        assert opened is not None
        driver.note(opened)
        record = driver.record()
        assert record.read_before == ("another-confirm on 2025-11-24",)
        assert record.claim.endswith("; this test was read 1 time before")
        register(tmp_path, reading("a third", "y", es="1"))
        assert opening(tmp_path, record) is None, "it has begun to read"
    assert {each.study for each in earlier(tmp_path, {"es": "1"})} >= {"small-confirm"}
    lines = (made.folder / "journal.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["event"] for line in lines]
    assert kinds.count("test_opened") == 1
    assert kinds.index("recommended") < kinds.index("test_opened")


def test_what_was_read_before_is_told() -> None:
    study = two_arms(earlier=["small-confirm"])
    read = study.model_copy(update={"read_before": ("small-confirm on 2025-11-24",)})
    said = " ".join(sentences(Confirmed.of(read)))
    assert "This test was read before, by small-confirm on 2025-11-24." in said
    assert "Earlier confirmations" not in said


def test_a_journal_that_opens_test_twice_is_refused(tmp_path: Path) -> None:
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 1, (1, 2))
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        trained(driver, made, {})
        for _ in range(2):
            driver.note(events.TestOpened(time=2.0, before=()))
    with pytest.raises(UserError, match="test was opened before"), Journal(made.folder):
        pass
