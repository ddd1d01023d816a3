from __future__ import annotations

from dataclasses import replace

import pytest

from tuner.data.corpus import Corpus, Row, Split, SplitReading, align
from tuner.errors import UserError

LABELS = ("no", "yes")


def row(id_: str, label: int = 0, text: str = "a b") -> Row:
    return Row(id_, text, f"{text} c", label)


def reading(origin: str, rows: list[Row], dropped: dict[str, str] | None = None) -> SplitReading:
    dropped = dropped or {}
    ids = [*(row.id for row in rows), *dropped]
    return SplitReading(
        origin, {row.id: row for row in rows}, dropped, {id_: n for n, id_ in enumerate(ids, 2)}
    )


def test_rows_are_joined_by_id_and_losses_counted() -> None:
    rows, note = align(
        "dev",
        {
            "en": reading("en.tsv", [row("1"), row("2", 1), row("3"), row("4"), row("9")]),
            "de": reading("de.tsv", [row("2", 1), row("1")], {"3": "NS", "4": "NS", "5": "blank"}),
        },
        LABELS,
    )
    assert list(rows["de"]) == ["2", "1"]
    assert rows["en"]["2"].label == rows["de"]["2"].label == 1
    # Six ids in all: en lacks 5, de lacks 9.
    assert note == "dev: 2 of 6 ids clean in all of en, de; dropped: en 1 absent, " + (
        "de 2 NS + 1 absent + 1 blank"
    )


def test_labels_must_agree() -> None:
    with pytest.raises(UserError) as raised:
        align(
            "dev",
            {
                "en": reading("en.tsv", [row("1"), row("2", 1)]),
                "de": reading("de.tsv", [row("1"), row("7"), row("2", 0)]),
            },
            LABELS,
        )
    problem = "de.tsv, line 4: id 2 has label no, but label yes in en.tsv, line 3"
    assert raised.value.problem == problem


def test_labels_of_dropped_rows_need_not_agree() -> None:
    rows, _ = align(
        "dev",
        {
            "en": reading("en.tsv", [row("1"), row("2", 1)]),
            "de": reading("de.tsv", [row("1"), row("3", 1)], {"2": "NS"}),  # which has label 0
        },
        LABELS,
    )
    assert set(rows["de"]) == {"1", "3"}


def test_training_needs_an_id_in_all_languages_and_dev_does_not() -> None:
    readings = {
        "en": reading("en.tsv", [row("1"), row("3", 1)]),
        "de": reading("de.tsv", [row("2"), row("4", 1)]),
    }
    with pytest.raises(UserError, match=r"no id .* clean in all of en, de"):
        align("train", readings, LABELS)
    _, note = align("dev", readings, LABELS)
    assert note.startswith("dev: 0 of 4 ids clean in all of en, de;")


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_every_split_holds_every_class_in_every_language(split: Split) -> None:
    readings = {
        "en": reading("en.tsv", [row("1"), row("2", 1)]),
        "de": reading("de.tsv", [row("1")], {"2": "no label", "3": "NS"}),
    }
    with pytest.raises(UserError) as raised:
        align(split, readings, LABELS)
    assert raised.value.problem == (
        "de.tsv: no clean row for de has the label yes; dropped: 1 NS + 1 no label"
    )


def test_every_class_is_trained_on() -> None:
    """Every language has it, and no pair of it is clean in both."""
    readings = {
        "en": reading("en.tsv", [row("1"), row("2", 1)], {"3": "NS"}),
        "de": reading("de.tsv", [row("1"), row("3", 1)], {"2": "NS"}),
    }
    with pytest.raises(UserError, match=r"no pair of train that is clean in all of en, de has "):
        align("train", readings, LABELS)
    assert align("dev", readings, LABELS)


def test_a_language_without_clean_rows_is_an_error() -> None:
    with pytest.raises(UserError, match=r"de\.tsv has no clean row for de"):
        align("dev", {"de": reading("de.tsv", [], {"1": "NS"})}, LABELS)


def test_checksum_is_of_the_rows_whatever_their_order() -> None:
    corpus = Corpus(
        ("en", "de"),
        LABELS,
        {
            "train": {"en": {"1": row("1"), "2": row("2", 1)}, "de": {"2": row("2", 1)}},
            "dev": {"de": {"5": row("5")}},
        },
        ("a note",),
        machine_translated=False,
    )
    same = Corpus(
        ("de", "en"),
        LABELS,
        {
            "dev": {"de": {"5": row("5")}},
            "train": {"de": {"2": row("2", 1)}, "en": {"2": row("2", 1), "1": row("1")}},
        },
        (),
        machine_translated=True,
    )
    assert len(corpus.checksum) == 64
    assert same.checksum == corpus.checksum
    for changed in (row("5", 1), row("6"), row("5", text="a  b"), row("5", text="ab")):
        other = replace(corpus, rows={**corpus.rows, "dev": {"de": {changed.id: changed}}})
        assert other.checksum != corpus.checksum
    moved = replace(corpus, rows={"train": corpus.rows["train"], "test": corpus.rows["dev"]})
    assert moved.checksum != corpus.checksum
    lost = replace(corpus, rows={**corpus.rows, "train": {"en": {"1": row("1")}}})
    assert lost.checksum_of("dev") == corpus.checksum_of("dev") != corpus.checksum
    assert lost.checksum_of("train") != corpus.checksum_of("train")
