"""Studies beside a search: its own data, its own encoder, its own reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import records
from tests.confirm.searches import begin, searched
from tuner.confirm.design import confirmation, reference
from tuner.confirm.same import check_own, check_same
from tuner.errors import UserError
from tuner.journal.facts import StudyFacts
from tuner.journal.journal import read_history


def facts(encoder: str = "e", **splits: str) -> StudyFacts:
    own = {"train": "a", "dev": "b", "test": "c"} | splits
    data = {"splits": own, "checksum": "".join(own.values())}
    return records.facts(data=data, encoder={"checksum": encoder})


def test_the_same_data_and_encoder() -> None:
    check_same(facts(), facts())
    check_same(facts(), facts(train="english alone"), splits=("dev", "test"))


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (facts(dev="cut"), r"^the data \(dev\) has changed since the search began"),
        (facts(train="x", test="y"), r"^the data \(train, test\) has changed"),
        (facts(encoder="other"), "^the encoder has changed"),
        (facts(encoder="other", dev="cut"), r"^the data \(dev\) and the encoder have changed"),
    ],
)
def test_what_has_changed_is_refused(found: StudyFacts, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        check_same(facts(), found)


def test_a_journal_of_an_earlier_version_has_a_checksum_of_the_whole() -> None:
    old = records.facts(data={"checksum": "abc"}, encoder={"checksum": "e"})
    assert old.data.splits == {}
    check_same(old, facts())
    with pytest.raises(UserError, match=r"^the data \(train, dev, test\) has changed"):
        check_same(old, facts(dev="cut"))


def test_a_reference_is_gone_on_with_where_it_is_the_same(tmp_path: Path) -> None:
    search, folder = searched(tmp_path), tmp_path / "small"
    confirmed = confirmation(search, folder, 1, (1, 2))
    made = reference(search, folder, confirmed)
    begin(made, search)
    there = read_history(made.folder).record()
    check_own(made, there, search)
    other = search.model_copy(update={"id": "another of that name"})
    with pytest.raises(UserError, match="is not an external reference of this study small"):
        check_own(made, there, other)
    with pytest.raises(UserError, match="is not an external reference of this study small"):
        check_own(made, search.model_copy(update={"name": made.name}), search)
    more = reference(search, folder, confirmation(search, folder, 1, (1, 3)))
    with pytest.raises(UserError, match="seeds that differ from those of the confirmation"):
        check_own(more, there, search)
