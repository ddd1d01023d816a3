from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tuner.data.corpus import Corpus, Row
from tuner.data.sources import load_corpus
from tuner.errors import UserError
from tuner.study.data import DirectoryData, FilesData

LANGUAGES = ["en", "de", "ja"]
SPLITS = ("train", "dev", "test")
CLASSES = ["entailment", "neutral", "contradiction"]
NAMES = ("pair", "premise", "hypothesis", "gold", "lang")
COLUMNS = dict(zip(("id", "sentence1", "sentence2", "label", "language"), NAMES, strict=True))

Cells = tuple[Any, ...]


def inference(split: str, language: str) -> list[Cells]:
    """Pairs with three labels: some untranslated, one without a label."""
    rows: list[Cells] = []
    for number in range(9):
        sentence = "NS" if (language, number) == ("ja", 4) else f'{split} "{language}" {number}, é'
        label = "-" if number == 7 else CLASSES[number % 3]
        rows.append((number, sentence, f"{language} {number * number}", label, language))
    return rows


def write(file: Path, rows: Sequence[Cells], columns: Sequence[str] = NAMES) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [row[: len(columns)] for row in rows]
    if file.suffix == ".tsv":
        lines = ["\t".join(map(str, row)) for row in [columns, *rows]]
        file.write_text("\n".join(lines) + "\n", "utf-8")
    elif file.suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened).writerows([columns, *rows])
    elif file.suffix == ".jsonl":
        with file.open("w", encoding="utf-8") as opened:
            for row in rows:
                opened.write(json.dumps(dict(zip(columns, row, strict=True))) + "\n")
    else:
        by_column = list(map(list, zip(*rows, strict=True)))
        pyarrow.parquet.write_table(pyarrow.table(by_column, names=list(columns)), file)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., FilesData]:
    """Writes `inference` in files of a kind: one a language, or one of all languages."""

    def written(kind: str, shared: bool = False, **settings: Any) -> FilesData:
        for split in SPLITS:
            every = [row for language in reversed(LANGUAGES) for row in inference(split, language)]
            write(tmp_path / f"all/{split}.{kind}", every)
            for language in LANGUAGES:
                write(tmp_path / f"{language}/{split}.{kind}", inference(split, language))
        folder = str(tmp_path / ("all" if shared else "{language}"))
        paths: dict[str, Any] = {split: f"{folder}/{split}.{kind}" for split in SPLITS}
        columns = {**COLUMNS, "language": "lang" if shared else None}
        asked: dict[str, Any] = {"columns": columns, "machine_translated": ["de", "ja"]}
        return FilesData(source="files", **(paths | asked | {"labels": CLASSES} | settings))

    return written


def load(data: FilesData, train: str = "en de ja") -> Corpus:
    return load_corpus(data, LANGUAGES, train.split())


def refused(data: FilesData, train: str = "en de ja") -> str:
    with pytest.raises(UserError) as raised:
        load(data, train)
    assert raised.value.remedy
    return str(raised.value)


def test_every_format_gives_the_same_corpus(written: Callable[..., FilesData]) -> None:
    corpora = [load(written(kind)) for kind in ("tsv", "csv", "jsonl", "parquet")]
    assert len({corpus.checksum for corpus in corpora}) == 1
    for corpus in corpora:
        assert corpus.rows == corpora[0].rows and corpus.notes == corpora[0].notes
    corpus = corpora[0]
    assert corpus.labels == tuple(CLASSES)
    assert corpus.rows["dev"]["de"]["5"] == Row("5", 'dev "de" 5, é', "de 25", 2)
    assert [row.label for row in corpus.rows["train"]["en"].values()] == [0, 1, 2, 0, 1, 2, 0, 2]
    assert corpus.notes[0] == (
        "train: 7 of 9 ids clean in all of en, de, ja; "
        "dropped: en 1 no label, de 1 no label, ja 1 NS + 1 no label"
    )


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_a_language_column_is_as_good_as_files(
    written: Callable[..., FilesData], kind: str
) -> None:
    shared = load(written(kind, shared=True))
    assert shared.rows == load(written(kind)).rows
    assert list(shared.rows["dev"]) == LANGUAGES
    assert set(load(written(kind, shared=True), train="de").rows["train"]) == {"de"}


def test_a_file_a_language_and_a_shared_file_mix(
    written: Callable[..., FilesData], tmp_path: Path
) -> None:
    mixed = written("csv", shared=True, train=str(tmp_path / "{language}/train.csv"))
    assert load(mixed).checksum == load(written("csv")).checksum


def test_without_ids_rows_are_joined_by_their_order(written: Callable[..., FilesData]) -> None:
    for shared in (False, True):
        columns = COLUMNS | {"id": None, "language": "lang" if shared else None}
        corpus = load(written("jsonl", shared, columns=columns))
        assert corpus.rows["train"]["de"]["1"].sentence2 == "de 0"  # numbered from 1
        assert "dev: no ids in en, de, ja; their rows were joined by order" in corpus.notes


def test_order_joins_rows_only_where_they_are_equally_many(
    written: Callable[..., FilesData], tmp_path: Path
) -> None:
    data = written("parquet", columns=COLUMNS | {"id": None, "language": None})
    write(tmp_path / "de/dev.parquet", inference("dev", "de")[:-1])
    problem = refused(data).partition("\n")[0]
    assert "en/dev.parquet, row 1: no id column, and 9 rows for en, but 8 for de in" in problem


@pytest.mark.parametrize("source", ["en", "en de", "en de ja"])
def test_machine_translated_is_what_is_trained_on(
    written: Callable[..., FilesData], source: str
) -> None:
    corpus = load(written("tsv", machine_translated=["ja"]), source)
    assert corpus.machine_translated == ("ja" in source)


def test_test_may_be_left_out_and_may_lack_languages(
    written: Callable[..., FilesData], tmp_path: Path
) -> None:
    without = load(written("csv", test=None))
    assert "test" not in without.rows and "test: none for en, de, ja" in without.notes
    data = written("csv")
    (tmp_path / "de/test.csv").unlink()
    assert "test: none for de" in load(data).notes
    write(tmp_path / "all/test.csv", inference("test", "en"))
    shared = written("csv", shared=True)
    write(tmp_path / "all/test.csv", inference("test", "en"))
    assert "test: none for de, ja" in load(shared).notes


def test_what_is_missing_is_named(written: Callable[..., FilesData], tmp_path: Path) -> None:
    data = written("tsv")
    assert refused(written("tsv", dev=str(tmp_path / "{language}/dv.tsv"))).startswith(
        f"data.dev does not exist: {tmp_path}/en/dv.tsv, "
    )
    assert "data.test does not exist" in refused(
        written("tsv", test=str(tmp_path / "x{language}.tsv"))
    )
    wrong = written("tsv", columns=COLUMNS | {"label": "label", "language": None})
    assert "train.tsv, line 1, has no column 'label'\nColumns there: 'pair'" in refused(wrong)
    write(tmp_path / "en/train.tsv", [row for row in inference("train", "en")], NAMES[:3])
    assert f"{tmp_path}/en/train.tsv, line 1, has no column 'gold'" in refused(data)
    shared = written("tsv", shared=True)
    write(tmp_path / "all/dev.tsv", inference("dev", "en"))
    problem = "all/dev.tsv has no row for de, ja\nLanguages in its column 'lang': en."
    assert problem in refused(shared)


def test_labels_are_those_in_train_where_none_are_given(
    written: Callable[..., FilesData], tmp_path: Path
) -> None:
    corpus = load(written("csv", labels=None))
    assert corpus.labels == ("contradiction", "entailment", "neutral")
    assert corpus.notes[3].startswith("labels: contradiction, entailment, neutral, in this ord")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([1, 0, None], ("0", "1")),
        ([10, 9, 2], ("2", "9", "10")),
        (["b", "a", ""], ("a", "b")),
        ([True, False], ("false", "true")),
        ([0.0, 1.0, float("nan")], ("0", "1")),
    ],
)
def test_labels_found(tmp_path: Path, values: list[Any], labels: tuple[str, ...]) -> None:
    rows = [(number, "a", "b", value) for number, value in enumerate(values)]
    for split in ("train", "dev"):
        write(tmp_path / f"en.{split}.jsonl", rows, NAMES[:4])
    paths = {split: str(tmp_path / f"{{language}}.{split}.jsonl") for split in ("train", "dev")}
    settings: dict[str, Any] = {"columns": COLUMNS | {"language": None}, "machine_translated": []}
    data = FilesData(source="files", **paths, **settings)
    corpus = load_corpus(data, ["en"], ["en"])
    assert corpus.labels == labels
    listed = data.model_copy(update={"labels": tuple(reversed(corpus.labels))})
    other = load_corpus(listed, ["en"], ["en"]).rows["dev"]["en"]
    for id_, row in corpus.rows["dev"]["en"].items():
        assert other[id_].label == len(labels) - 1 - row.label


@pytest.mark.parametrize(
    ("column", "problem"),
    [("lang", "has 1 different labels ('de')"), ("other", "has 27 different labels ('de 0'")],
)
def test_other_columns_are_not_taken_for_labels(
    written: Callable[..., FilesData], column: str, problem: str
) -> None:
    columns = COLUMNS | {"label": column, "language": None}
    if column == "other":
        columns |= {"label": "hypothesis", "sentence2": "gold"}
    train = "de" if column == "lang" else "en de ja"
    assert problem in refused(written("csv", labels=None, columns=columns), train)


def test_labels_that_never_occur_are_refused(written: Callable[..., FilesData]) -> None:
    problem = refused(written("csv", labels=[0, 1, 2]))
    assert "en/train.csv, line 2: the label 'entailment' is not one of 0, 1, 2" in problem


def test_settings_come_back_from_json_and_paths_are_absolute() -> None:
    data = FilesData(
        source="files",
        train="data/{language}.tsv",
        dev="~/dev.{language}.tsv",
        machine_translated=(),
        labels=(True, (1, "1.0"), "x"),
    )
    assert data.train.path == str(Path.cwd() / "data/{language}.tsv")
    assert data.dev.path == str(Path.home() / "dev.{language}.tsv")
    assert FilesData.model_validate(data.model_dump(mode="json")) == data


def test_real_text_as_files_is_the_real_corpus(pawsx_dir: Path) -> None:
    folder, languages = pawsx_dir / "parallel-split", ["de", "es", "fr", "ja", "ko", "zh"]
    data = FilesData(
        source="files",
        train=f"{folder}/{{language}}/translated_train.tsv",
        dev=f"{folder}/{{language}}/dev_2k.tsv",
        test=f"{folder}/{{language}}/test_2k.tsv",
        machine_translated=tuple(languages),
    )
    official = load_corpus(DirectoryData(source="directory", path=folder), languages, languages)
    corpus = load_corpus(data, languages, languages)
    assert corpus.checksum == official.checksum
    assert corpus.labels == official.labels and corpus.machine_translated
    assert corpus.notes[:3] == official.notes[:3]
