"""Pairs that share sentences: by hand, against scipy's components, and on real text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tests.waiting import Within
from tuner.data import nano
from tuner.data.corpus import Corpus, Row, Split
from tuner.data.overlap import Overlap, components_of, without_shared
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.errors import UserError
from tuner.journal.arrays import ints_as_text
from tuner.journal.facts import OverlapFacts
from tuner.model.encoder import load_tokenizer
from tuner.study.data import DirectoryData, NanoData
from tuner.study.parts import EncoderConfig

Texts = dict[str, dict[str, str]]
"""Language → id → both sentences, a word each."""


def corpus_of(labels: str = "01", **splits: Texts) -> Corpus:
    """Pairs whose label is whether their id is odd."""
    languages = tuple(dict.fromkeys(language for split in splits.values() for language in split))
    rows: Any = {
        split: {
            language: {
                id_: Row(id_, *texts.split("/"), int(id_) % len(labels))
                for id_, texts in pairs.items()
            }
            for language, pairs in of_split.items()
        }
        for split, of_split in splits.items()
    }
    return Corpus(languages, tuple(labels), rows, ("before",), machine_translated=False)


MADE = corpus_of(
    train={
        "en": {"1": "t1/u1", "2": "d5/u2", "3": "t3/u3", "4": "x/u4", "5": "t5/d1", "6": "y/z"},
    },
    dev={
        # 1-2 by a sentence on the other side, 2-10 by German alone, 3 with itself, 4 alone.
        "en": {"10": "d9/d10", "1": "d1/d2", "2": "d2/d3", "3": "d4/d4", "4": "d5/x"},
        "de": {"2": "e1/e2", "10": "e3/e1", "3": "e4/e5"},
    },
    test={"de": {"1": "x/f1", "2": "f2/f3"}},  # x is English in dev, and in train
)


def test_components_and_counts_computed_by_hand() -> None:
    """Rows are in the order of ids: 1 2 3 4 10; {1 2 10} {3} {4}, so that (5²) / (9 + 1 + 1)."""
    overlap = Overlap.of(MADE)
    assert overlap.components["dev"].tolist() == [0, 0, 1, 2, 0]
    assert overlap.components["test"].tolist() == [0, 1]
    assert {split: counts.model_dump() for split, counts in overlap.counts.items()} == {
        "train": {"ids": 6, "shared": {"dev": 3, "test": 1}},
        "dev": {
            "ids": 5,
            "shared": {"train": 2, "test": 1},
            "components": 3,
            "effective_ids": pytest.approx(25 / 11),
        },
        "test": {
            "ids": 2,
            "shared": {"train": 1, "dev": 1},
            "components": 2,
            "effective_ids": 2.0,
        },
    }
    assert overlap.notes == (
        "train: 6 pairs; 3 pairs share a sentence with dev, 1 pair shares a sentence with test",
        "dev: 5 pairs in 3 groups that share sentences; 2 pairs share a sentence with train, "
        "1 pair shares a sentence with test",
        "test: 2 pairs in 2 groups that share sentences; 1 pair shares a sentence with train, "
        "1 pair shares a sentence with dev",
    )


def test_nothing_shared_is_said() -> None:
    alone = corpus_of(train={"en": {"1": "a/b"}}, dev={"en": {"1": "c/d"}})
    assert Overlap.of(alone).notes == (
        "train: 1 pairs; no pair shares a sentence with dev",
        "dev: 1 pairs in 1 groups that share sentences; no pair shares a sentence with train",
    )
    assert Overlap.of(corpus_of(dev={"en": {"1": "c/d"}})).notes == (
        "dev: 1 pairs in 1 groups that share sentences",
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("café au lait", "cafe\u0301 au lait", True),  # composed, and with a combining accent
        ("a  b", " a\u3000b ", True),
        ("a b", "A b", False),
        ("a b.", "a b .", False),
        ("ｱ", "ア", False),  # a half-width letter: NFKC would take them for one
    ],
)
def test_what_the_same_text_is(one: str, other: str, same: bool) -> None:
    corpus = corpus_of(dev={"en": {"1": f"{one}/p"}, "de": {"2": f"q/{other}"}})
    assert (len(set(Overlap.of(corpus).components["dev"].tolist())) == 1) == same


WORDS = st.sampled_from("abcdefghijklmnop")
PAIRS = st.dictionaries(
    st.integers(0, 14).map(str), st.tuples(WORDS, WORDS).map("/".join), min_size=1
)
SPLIT = st.fixed_dictionaries({"en": PAIRS}, optional={"de": PAIRS, "ja": PAIRS})


@given(SPLIT)
def test_components_equal_those_of_scipy(split: Texts) -> None:
    """On the graph of ids and texts, in which a pair is joined with its texts."""
    corpus = corpus_of(test=split)
    found = Overlap.of(corpus).components["test"]
    ids = corpus.ids("test")
    edges = [
        (ids.index(id_), len(ids) + "abcdefghijklmnop".index(text))
        for pairs in split.values()
        for id_, texts in pairs.items()
        for text in texts.split("/")
    ]
    rows, columns = zip(*edges, strict=True)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(ids) + 16,) * 2)
    expected = connected_components(graph, directed=False)[1][: len(ids)]
    assert (found[:, None] == found).tolist() == (expected[:, None] == expected).tolist()
    assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1)), "in order of rows"


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


def test_a_reader_of_the_journal_finds_the_components_of_any_set() -> None:
    facts = OverlapFacts.model_validate_json(Overlap.of(MADE).facts.model_dump_json())
    assert components_of(facts, "dev", "en", "en").tolist() == [0, 0, 1, 2, 0]
    assert components_of(facts, "dev", "de", "de").tolist() == [0, 1, 0]
    assert components_of(facts, "dev", "de", "en").tolist() == [0, 1, 0]
    assert components_of(facts, "test", "de", "de").tolist() == [0, 1]
    with pytest.raises(UserError, match="which test pairs of en and de share"):
        components_of(facts, "test", "en", "de")


def test_a_record_that_does_not_say() -> None:
    rows = Overlap.of(MADE).facts.rows["dev"]
    damaged = [OverlapFacts()]
    for change in ({"components": "?"}, {"components": ints_as_text(np.arange(9))}, {"clean": {}}):
        damaged.append(OverlapFacts(rows={"dev": rows.model_copy(update=change)}))
    for each in damaged:
        with pytest.raises(UserError, match="does not say which dev pairs of en and en"):
            components_of(each, "dev", "en", "en")


def test_the_order_is_that_of_the_tokenised_rows() -> None:
    """Nano with rows missing here and there: the sentences of a component have the same tokens."""
    whole = load_corpus(NanoData(source="nano"), ["en", "ja"], [])
    random = np.random.default_rng(0)
    dev = {
        language: {id_: row for id_, row in rows.items() if random.random() < 0.9}
        for language, rows in whole.rows["dev"].items()
    }
    corpus = replace(whole, rows={"dev": dev})
    tokenizer = load_tokenizer(EncoderConfig(name="nano", max_length=32))
    tokens = tokenise(corpus, tokenizer, 32)
    facts = Overlap.of(corpus).facts
    rows = tokens.rows("dev", ["en", "ja"])
    components = components_of(facts, "dev", "en", "ja")
    assert len(components) == len(rows) < 500

    split = tokens.splits["dev"]

    def sentences(row: int) -> set[bytes]:
        sides = zip(split.starts[:, :, row].ravel(), split.lengths[:, :, row].ravel(), strict=True)
        return {split.tokens[start : start + length].tobytes() for start, length in sides}

    of_component: dict[int, list[int]] = {}
    for row, component in zip(rows.tolist(), components.tolist(), strict=True):
        of_component.setdefault(component, []).append(row)
    twins = [both for both in of_component.values() if len(both) == 2]
    assert len(twins) > 100
    assert all(sentences(one) & sentences(other) for one, other in twins)


def test_nano_shares_nothing_between_splits() -> None:
    corpus = load_corpus(NanoData(source="nano"), ["en", "zh"], ["en"])
    counts = Overlap.of(corpus).counts
    dev = counts["dev"]
    assert (dev.ids, dev.components, dev.effective_ids) == (500, 250, 250)
    assert all(not any(of_split.shared.values()) for of_split in counts.values())
    assert set(nano.LANGUAGES) > set(corpus.languages)


def test_the_official_sets_overlap(pawsx_dir: Path) -> None:
    """About 880 of the 2,000 test pairs are effective by English alone."""
    data = DirectoryData(source="directory", path=pawsx_dir / "x-final")
    english = Overlap.of(load_corpus(data, ["en"], [])).counts["test"]
    assert english.components == 1238 and round(english.effective_ids or 0) == 877
    corpus = load_corpus(data, ["en", "de", "es", "fr", "ja", "ko", "zh"], [])
    counts = Overlap.of(corpus).counts
    assert counts["dev"].shared == {"test": 1320} and counts["test"].components == 1168


@pytest.mark.takes_long("as many sentences as PAWS-X has in seven languages: 700,000")
def test_the_whole_of_pawsx_takes_seconds(within: Within) -> None:
    pairs = {str(n): f"one {n // 3} of these/another {n} of them" for n in range(49_401)}
    train = {
        language: {id_: texts.replace("of", language) for id_, texts in pairs.items()}
        for language in nano.LANGUAGES
    }
    few = {language: dict(list(rows.items())[:2000]) for language, rows in train.items()}
    corpus = corpus_of(train=train, dev=few, test=few)
    with within(10):  # 2 on an idle machine
        counts = Overlap.of(corpus).counts
    assert counts["train"].shared["dev"] == 2001, "2,000 and one that shares a first sentence"
    assert counts["dev"].components == 667
