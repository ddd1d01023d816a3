"""Pairs that share sentences: by hand, against scipy's components, and on real text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tests.data.examples import MADE, SPLIT, Texts, corpus_of
from tests.waiting import Within
from tuner.data import nano
from tuner.data.agreement import Agreement
from tuner.data.overlap import Overlap, components_of
from tuner.data.sources import load_corpus
from tuner.data.tokenise import tokenise
from tuner.errors import UserError
from tuner.journal.arrays import ints_as_text
from tuner.journal.facts import OverlapFacts
from tuner.model.encoder import load_tokenizer
from tuner.study.data import DirectoryData, NanoData
from tuner.study.parts import EncoderConfig


def test_components_and_counts_computed_by_hand() -> None:
    """Rows are in the order of ids: 1 2 3 4 10; {1 2 10} {3} {4}, so that (5²) / (9 + 1 + 1)."""
    overlap = Overlap.of(MADE)
    assert overlap.components["dev"].tolist() == [0, 0, 1, 2, 0]
    assert overlap.components["test"].tolist() == [0, 1]
    assert {
        split: counts.model_dump(exclude_none=True) for split, counts in overlap.counts.items()
    } == {
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
        overlap = Overlap.of(corpus)
        counts, held = overlap.counts, Agreement.of(overlap).test_in_training
    assert held.count("2,000 of 2,000") == len(nano.LANGUAGES)
    assert counts["train"].shared["dev"] == 2001, "2,000 and one that shares a first sentence"
    assert counts["dev"].components == 667
