"""Strict splits share no sentence."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.data.examples import MADE, SPLIT, Texts, corpus_of
from tuner.data.corpus import Row, Split
from tuner.data.overlap import Overlap, without_shared
from tuner.errors import UserError


@given(train=SPLIT, dev=SPLIT, test=SPLIT)
def test_strict_splits_share_nothing_and_lose_nothing_else(
    train: Texts, dev: Texts, test: Texts
) -> None:
    corpus = corpus_of("0", train=train, dev=dev, test=test)
    try:
        strict = without_shared(corpus, Overlap.of(corpus))
    except UserError:
        return
    left = Overlap.of(strict)
    assert all(not any(counts.shared.values()) for counts in left.counts.values())
    assert strict.rows["test"] == corpus.rows["test"]

    def texts(rows: dict[str, dict[str, Row]], ids: set[str] | None = None) -> set[str]:
        every = [row for of_language in rows.values() for row in of_language.values()]
        kept = [row for row in every if ids is None or row.id in ids]
        return {text for row in kept for text in (row.sentence1, row.sentence2)}

    later: set[str] = texts(corpus.rows["test"])
    split: Split
    for split in ("dev", "train"):
        gone = set(corpus.ids(split)) - set(strict.ids(split))
        assert all(texts(corpus.rows[split], {id_}) & later for id_ in gone)
        for language, rows in strict.rows[split].items():
            was = corpus.rows[split][language]
            assert rows == {id_: row for id_, row in was.items() if id_ not in gone}
        later |= texts(strict.rows[split])


def test_strict_by_hand() -> None:
    """Dev 4 goes (x is in test); train 5 (d1), and 4 (x); 2 stays, for its dev pair has gone."""
    strict = without_shared(MADE, Overlap.of(MADE))
    assert strict.ids("dev") == ("1", "2", "3", "10")
    assert strict.ids("train") == ("1", "2", "3", "6")
    assert strict.checksum != MADE.checksum and strict.labels == MADE.labels
    assert strict.notes == (
        "before",
        "protocol.strict_overlap: dropped 1 of 5 dev pairs, which share a sentence with test; "
        "2 of 6 train pairs, which share a sentence with dev or test",
    )


def test_strict_without_test() -> None:
    corpus = corpus_of(train={"en": {"1": "a/b", "2": "c/d", "3": "e/f"}}, dev={"en": {"1": "f/g"}})
    strict = without_shared(corpus, Overlap.of(corpus))
    assert strict.ids("train") == ("1", "2") and strict.ids("dev") == ("1",)
    assert strict.notes[-1].endswith("dropped 1 of 3 train pairs, which share a sentence with dev")


@pytest.mark.parametrize(
    ("splits", "problem"),
    [
        (
            {
                "dev": {"en": {"1": "a/b", "2": "c/d"}, "de": {"2": "e/f"}},
                "test": {"de": {"1": "f/g"}},
            },
            "leaves no dev pair for de: all share a sentence with test",
        ),
        (
            {
                "dev": {"en": {"1": "a/b", "2": "c/d", "3": "a/h", "4": "i/j"}},
                "test": {"de": {"1": "a/g"}},
            },
            "leaves no dev pair for en with the label 1: all share a sentence with test",
        ),
        (
            {"train": {"en": {"1": "a/b", "2": "c/d"}}, "dev": {"en": {"1": "a/g"}}},
            "no training pair that is clean in all of en with the label 1: all share a sentence",
        ),
        (
            {
                "train": {
                    "en": {"1": "a/b", "2": "c/d", "3": "i/j"},
                    "de": {"1": "e/f", "2": "g/h"},
                },
                "dev": {"en": {"1": "f/k"}},
            },
            "no training pair that is clean in all of en, de with the label 1",
        ),
    ],
)
def test_strict_refuses_what_leaves_nothing(splits: dict[str, Texts], problem: str) -> None:
    corpus = corpus_of(**splits)
    with pytest.raises(UserError, match=problem):
        without_shared(corpus, Overlap.of(corpus))
