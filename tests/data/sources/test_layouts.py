"""The same corpus in the forms in which people have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.sources.worlds import PAIRS, World, pair, tsv, zipped
from tuner.data.sources import opening
from tuner.errors import UserError

NAMES = ("id", "sentence1", "sentence2", "label")
Rows = Sequence[Sequence[str]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rows(language: str) -> list[tuple[str, ...]]:
    return [pair(language, number) for number in range(PAIRS)]


def as_tsv(rows: Rows, names: Sequence[str] = NAMES) -> str:
    return "\n".join("\t".join(row) for row in [names, *rows] if row) + "\n"


def as_csv(rows: Rows, names: Sequence[str] = NAMES) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *rows])
    return text.getvalue()


def as_jsonl(rows: Rows, names: Sequence[str] = NAMES) -> str:
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def as_array(rows: Rows, names: Sequence[str] = NAMES) -> str:
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2)


def as_parquet(rows: Rows, names: Sequence[str] = NAMES) -> bytes:
    buffer = io.BytesIO()
    columns = [list(column) for column in zip(*rows, strict=True)]
    pyarrow.parquet.write_table(pyarrow.table(columns, names=list(names)), buffer)
    return buffer.getvalue()


FORMATS: dict[str, tuple[str, Callable[..., str | bytes]]] = {
    "tsv": ("tsv", as_tsv),
    "txt": ("txt", as_tsv),
    "csv": ("csv", as_csv),
    "jsonl": ("jsonl", as_jsonl),
    "json, one object a line": ("json", as_jsonl),
    "json, an array": ("json", as_array),
    "json, an array on one line": ("json", lambda *a: json.dumps(json.loads(as_array(*a)))),
    "parquet": ("parquet", as_parquet),
}


@pytest.mark.parametrize(("ending", "write"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("end", ["", ".gz", ".GZ"])
@pytest.mark.parametrize("upper", [False, True])
def test_every_format_is_the_same_corpus(
    world: World, ending: str, write: Callable[..., str | bytes], end: str, upper: bool
) -> None:
    official = world.load()
    ending = ending.upper() if upper else ending
    world.as_format(
        ending + end, lambda language: (zipped if end else lambda x: x)(write(rows(language)))
    )
    assert world.look() == 4
    corpus = world.load()
    assert corpus.checksum == official.checksum
    assert corpus.notes == official.notes


@pytest.mark.parametrize(("ending", "write"), FORMATS.values(), ids=FORMATS)
def test_a_column_a_language(world: World, ending: str, write: Callable[..., str | bytes]) -> None:
    """Wide: one row a pair, with the sentences of all languages in it."""
    official = world.load()
    names = ["id", "sentence1_en", "sentence2_en", "sentence1_de", "sentence2_de", "label"]
    wide = [
        (en[0], en[1], en[2], de[1], de[2], en[3])
        for en, de in zip(rows("en"), rows("de"), strict=True)
    ]
    world.files = {f"all.{ending}": write(wide, names)}
    test = [names[0], *names[3:]], [(row[0], *row[3:]) for row in wide]
    world.files[f"test.{ending}"] = write(test[1], test[0])
    columns = {"sentence1": "sentence1_{language}", "sentence2": "sentence2_{language}"}
    world.data |= {split: f"all.{ending}" for split in ("train", "dev")}
    world.data |= {"test": f"test.{ending}", "columns": columns}
    corpus = world.load()
    assert corpus.checksum_of("train") == official.checksum_of("train")
    assert corpus.checksum_of("dev") == official.checksum_of("dev")
    assert list(corpus.rows["test"]) == ["de"]
    assert "test: none for en" in corpus.notes
    assert world.look() == 5
    world.files[f"all.{ending}"] = write(test[1], test[0])
    with pytest.raises(UserError, match="has no column 'sentence1_en', 'sentence2_en'"):
        world.look()


def test_a_wide_table_may_have_labels_and_ids_a_language(world: World) -> None:
    official = world.load()
    names = [f"{name}.{language}" for language in ("en", "de") for name in NAMES]
    wide = [(*en, *de) for en, de in zip(rows("en"), rows("de"), strict=True)]
    world.files = {"all.csv": as_csv(wide, names)}
    world.data |= {"train": "all.csv", "dev": "all.csv"}
    world.data["columns"] = {name: f"{name}.{{language}}" for name in NAMES}
    assert world.load().checksum == official.checksum


def test_xnli_as_it_is_published(world: World) -> None:
    """Train a file a language with its own columns; dev and test one file each for all of them."""
    world.files.clear()
    for language in ("en", "de"):
        train = [(*row[1:3], row[3].replace("maybe", "contradictory")) for row in rows(language)]
        world.files[f"multinli/multinli.train.{language}.tsv"] = as_tsv(
            train, ("premise", "hypo", "label")
        )
    names = ("language", "gold_label", "sentence1", "sentence2", "promptID", "pairID", "genre")
    for split in ("dev", "test"):
        every = [
            (language, row[3].replace("maybe", "contradiction"), *row[1:3], "9", row[0], "letters")
            for language in ("de", "sw", "en")
            for row in rows(language)
        ]
        world.files[f"xnli.{split}.tsv"] = as_tsv(every, names)
    evaluated = {"id": "pairID", "label": "gold_label", "language": "language"}
    world.data |= {
        "train": {
            "path": "multinli/multinli.train.{language}.tsv",
            "columns": {"id": None, "sentence1": "premise", "sentence2": "hypo"},
        },
        "dev": "xnli.dev.tsv",
        "test": "xnli.test.tsv",
        "columns": evaluated,
        "labels": ["yes", "no", ["contradiction", "contradictory"]],
        "machine_translated": ["de"],
    }
    corpus = world.load()
    assert world.look() == 6
    assert corpus.labels == ("yes", "no", "contradiction")
    assert corpus.machine_translated
    for split in ("train", "dev", "test"):
        assert {language: len(of) for language, of in corpus.rows[split].items()} == {
            "en": PAIRS,
            "de": PAIRS,
        }
    assert corpus.rows["dev"]["de"]["4"].sentence1 == "de one, 4"
    assert "train: no ids in en, de; their rows were joined by order" in corpus.notes


@pytest.mark.parametrize("ending", ["tsv", "txt", "csv", "TSV.gz"])
def test_xtreme_as_it_is_prepared(world: World, ending: str) -> None:
    """`dev-de.tsv`: two sentences and a label, no header, no ids."""
    official = world.load()
    write = as_csv if ending == "csv" else as_tsv
    world.files.clear()
    for split in ("train", "dev"):
        for language in ("en", "de"):
            text = write([row[1:] for row in rows(language)], ())
            text = text.removeprefix("\r\n")
            content = zipped(text) if ending.endswith("gz") else text
            world.files[f"pawsx/{split}-{language}.{ending}"] = content
        world.data[split] = f"pawsx/{split}-{{language}}.{ending}"
    world.data["columns"] = {"id": None, "sentence1": 1, "sentence2": 2, "label": 3}
    corpus = world.load()
    assert world.look() == 4
    for split in ("train", "dev"):
        sentences = [
            [(row.sentence1, row.sentence2, row.label) for row in of["de"].values()]
            for of in (corpus.rows[split], official.rows[split])
        ]
        assert sentences[0] == sentences[1]


def test_columns_by_number_may_be_any_of_them(world: World) -> None:
    """With ids and a language among them, and others between."""
    official = world.load()
    lines = [
        (language, "x", row[3], row[2], row[1], row[0])
        for language in ("de", "en")
        for row in rows(language)
    ]
    world.files = {"all.tsv": as_tsv(lines, ())}
    world.data |= {
        "train": "all.tsv",
        "dev": "all.tsv",
        "columns": {"id": 6, "sentence1": 5, "sentence2": 4, "label": 3, "language": 1},
    }
    assert world.load().checksum == official.checksum


def test_a_field_may_be_long(world: World) -> None:
    """Longer than the 131,072 characters at which Python's csv gives up by itself."""
    long = "word " * 40_000
    world.as_format("csv", lambda language: as_csv(rows(language)))
    world.replace("dev.de.csv", "de two 3", long)
    assert world.load().rows["dev"]["de"]["3"].sentence2 == long


def test_quotes_of_tsv_are_counted(world: World) -> None:
    assert not [note for note in world.load().notes if "quotes" in note]
    world.files["dev.de.tsv"] = tsv("de").replace("de one, 3", '"de one, 3"').replace("de two", '"')
    world.replace("train.en.tsv", "en two 1", '"en two 1"')
    world.replace("train.en.tsv", "en two 2", '"')
    (note,) = [note for note in world.load().notes if "quotes" in note]
    assert note == (
        'TSV is read with its quotes; sentences that begin and end with ": en 1 of 24, de 1 of 24'
    )


def test_a_head_costs_its_rows_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look reads no more of a large file; the rest is checked when the corpus is read."""
    many = [row for _ in range(60) for row in rows("de")]
    numbered = [(str(n), *row[1:]) for n, row in enumerate(many)]
    for ending, write in FORMATS.values():
        world.as_format(ending, lambda language, write=write: write(numbered))
        text = write(numbered)
        if isinstance(text, bytes):
            continue
        world.files[f"dev.de.{ending}"] = text.rstrip().removesuffix("]") + "\nx"
        with monkeypatch.context() as patch:
            patch.setattr(opening, "SMALL", 0)
            assert world.look() == 4
        for read in (world.look, world.load):
            with pytest.raises(UserError):
                read()


@pytest.mark.parametrize("large", [False, True])
def test_a_head_may_lack_languages(
    world: World, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorted by them, it may: only the whole file can tell that one is missing."""
    every = [(*row, language) for language in ("en", "deu") for row in rows(language)]
    world.files = {"all.tsv": as_tsv(every, (*NAMES, "lang"))}
    world.data |= {"train": "all.tsv", "dev": "all.tsv", "columns": {"language": "lang"}}
    if large:
        monkeypatch.setattr(opening, "SMALL", 0)
        assert world.look() == 2
    else:
        with pytest.raises(UserError, match=r"has no row for de\n.*'lang': deu, en"):
            world.look()


def test_a_head_may_hold_no_language_of_the_study(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [(*row, "fr") for row in rows("fr")]
    world.files = {"all.tsv": as_tsv(every, (*NAMES, "lang"))}
    world.data |= {"train": "all.tsv", "dev": "all.tsv", "columns": {"language": "lang"}}
    monkeypatch.setattr(opening, "SMALL", 0)
    assert world.look() == 0


def test_a_look_reads_what_a_corpus_needs(world: World) -> None:
    del world.files["dev.de.tsv"]
    with pytest.raises(UserError, match=r"data\.dev does not exist"):
        world.look()
