from __future__ import annotations

import pytest

from tuner.data import nano
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study.data import NanoData

NANO = NanoData(source="nano")


def test_nano() -> None:
    corpus = load_corpus(NANO, ["en", "ja", "de"], ["en", "de"])
    assert corpus.languages == ("en", "ja", "de") and corpus.labels == ("0", "1")
    assert set(corpus.rows["train"]) == {"en", "de"}
    assert set(corpus.rows["dev"]) == set(corpus.rows["test"]) == {"en", "ja", "de"}
    assert list(corpus.rows["dev"]["ja"].values()) == nano.rows("ja", "dev")
    assert corpus.machine_translated
    assert corpus.notes == (
        "train: 4,000 of 4,000 ids clean in all of en, de; dropped: none",
        "dev: 500 of 500 ids clean in all of en, ja, de; dropped: none",
        "test: 1,000 of 1,000 ids clean in all of en, ja, de; dropped: none",
    )


def test_english_nano_is_original_text() -> None:
    assert not load_corpus(NANO, ["en", "de"], ["en"]).machine_translated


def test_nano_names_its_languages() -> None:
    with pytest.raises(UserError, match=r"(?s)no language it, pt.*en, de, fr, es, zh, ja, ko"):
        load_corpus(NANO, ["en", "it", "pt"], ["en"])


def test_progress_is_told_a_table_at_a_time() -> None:
    told: list[tuple[int, int]] = []
    load_corpus(NANO, ["en", "de"], ["en"], lambda read, total: told.append((read, total)))
    assert told == [(number, 5) for number in range(1, 6)]  # train of one, dev and test of two
