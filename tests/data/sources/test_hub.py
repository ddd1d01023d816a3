"""Datasets in the layout of the hub, in folders."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow
import pyarrow.parquet
import pytest

from tests.data.sources.examples import LANGUAGES, NAME, WORDS, Write, asked, refused, write_csv
from tuner.data.corpus import Corpus
from tuner.data.sources import hub, load_corpus
from tuner.study.data import DirectoryData


def test_a_folder_in_the_layout_of_the_hub(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    corpus = load_corpus(asked(pawsx_on_the_hub(nano)), LANGUAGES, LANGUAGES)
    assert corpus.checksum == nano.checksum
    assert corpus.labels == ("0", "1") and corpus.machine_translated
    assert corpus.notes == (
        "train: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
        "dev: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
        "test: 20 of 20 ids clean in all of en, de, fr, es, zh, ja, ko; dropped: none",
    )


def test_one_table_of_all_languages_and_labels_with_names(tmp_path: Path) -> None:
    names = ["entailment", "neutral", "contradiction"]
    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "label": datasets.ClassLabel(names=names),
            "language": datasets.Value("string"),
        }
    )
    rows = {
        "premise": ["a", "b", "c", "d", "A", None, "C", "D", "e", "E"],
        "hypothesis": ["x", "y", "z", "u", "X", "Y", "Z", "U", "v", "V"],
        "label": [2, 0, -1, 1, 2, 0, 1, 1, 0, 0],
        "language": ["en"] * 4 + ["de"] * 4 + ["en", "de"],
    }
    with hub._quiet():
        for split in ("train", "validation"):
            table = datasets.Dataset.from_dict(rows, features=features)
            table.to_parquet(tmp_path / f"{split}.parquet")
    columns = {"id": None, "sentence1": "premise", "sentence2": "hypothesis"}
    settings: dict[str, Any] = {
        "subset": None,
        "columns": columns | {"language": "language"},
        "splits": {"test": None},
    }
    corpus = load_corpus(asked(tmp_path, **settings), ["de", "en"], ["en"])
    assert corpus.labels == tuple(names)
    dev = {lang: [row.label for row in rows.values()] for lang, rows in corpus.rows["dev"].items()}
    assert dev == {"de": [2, 1, 1, 0], "en": [2, 0, 1, 0]}
    assert not corpus.machine_translated
    assert corpus.notes[1] == (
        "dev: 3 of 5 ids clean in all of de, en; dropped: de 1 blank, en 1 no label"
    )
    other = asked(tmp_path, labels=names[::-1], **settings)
    assert load_corpus(other, ["en"], ["en"]).labels == tuple(names[::-1])


def test_csv_is_read_as_it_is_written(tmp_path: Path) -> None:
    write_csv(tmp_path)
    corpus = load_corpus(asked(tmp_path, splits={"test": None}), ["en", "de"], ["en"])
    assert [row.sentence1 for row in corpus.rows["dev"]["de"].values()] == list(WORDS)
    assert corpus.labels == ("0", "1")
    assert corpus.notes[1] == (
        "dev: 10 of 11 ids clean in all of en, de; dropped: en 1 blank, de 1 blank"
    )


def test_an_unknown_label_is_named(tmp_path: Path) -> None:
    """Classes are found in train, or are listed."""
    write_csv(tmp_path)
    data = asked(tmp_path, splits={"test": None})
    for file in tmp_path.rglob("*.csv"):
        text = file.read_text().replace(",0\n", ",no\n").replace(",1\n", ",yes\n")
        file.write_text(text)
    load_corpus(data, ["en", "de"], ["en"])
    file = tmp_path / "de" / "validation.csv"
    file.write_text(file.read_text().replace("de 3,yes", "de 3,yess"))
    found = f"{tmp_path} de/validation, row 4: the label 'yess' is not one of no, yes"
    near = "; the nearest is yes\n"
    assert f"{found} (found in train){near}" in refused(data)
    listed = asked(tmp_path, splits={"test": None}, labels=["no", "yes"])
    assert f"{found} (data.labels){near}" in refused(listed)


def test_a_number_without_a_declared_class_is_refused(
    nano: Corpus, pawsx_on_the_hub: Write
) -> None:
    folder = pawsx_on_the_hub(nano)
    file = folder / "de" / "validation-00000-of-00001.parquet"
    table = pyarrow.parquet.read_table(file)
    labels = [7, *table["label"].to_pylist()[1:]]
    pyarrow.parquet.write_table(table.set_column(3, "label", pyarrow.array(labels)), file)
    problem = f"{folder} de/validation, row 1: the label 'number 7' is not one of 0, 1"
    assert f"{problem} (declared by the data)" in refused(asked(folder))


def test_what_is_missing_is_named(nano: Corpus, pawsx_on_the_hub: Write, tmp_path: Path) -> None:
    folder = pawsx_on_the_hub(nano)
    assert "has no subset 'x-en'\nName one of 'en', 'de'" in refused(
        asked(folder, subset="x-{language}")
    )
    several = refused(asked(folder, subset=None, columns={"language": "language"}))
    assert "has several subsets\nName one of 'en', 'de', 'fr'" in several
    assert "has no split 'dev'\nSplits there: train, validation, test." in refused(
        asked(folder, splits={"dev": "dev"})
    )
    assert "has no split 'tst'" in refused(asked(folder, splits={"test": "tst"}))
    assert "paws-x en/train has no column 'class'\nColumns there: 'id', 'sentence1'" in refused(
        asked(folder, columns={"label": "class"})
    )
    assert "data.name is not a folder" in refused(asked(tmp_path / "elsewhere"))


def test_broken_files_are_one_message(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    (folder / "en/validation-00000-of-00001.parquet").write_bytes(b"torn")
    assert "paws-x en cannot be loaded: ArrowInvalid: " in refused(asked(folder))


def test_no_script_is_run(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    (folder / "paws-x.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    assert "scripts are no longer supported" in refused(asked(folder))
    assert not (folder / "ran").exists()
    assert "trust_remote_code" not in inspect.getsource(hub)
    for loader in (datasets.load_dataset_builder, datasets.load_dataset):
        assert "trust_remote_code" not in inspect.signature(loader).parameters


def test_it_is_silent_and_leaves_libraries_as_they_were(
    nano: Corpus, pawsx_on_the_hub: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    def state() -> list[Any]:
        return [
            logging.getLogger("datasets").level,
            logging.getLogger("huggingface_hub").level,
            datasets.utils.are_progress_bars_disabled(),
            huggingface_hub.utils.are_progress_bars_disabled(),
            datasets.config.HF_HUB_OFFLINE,
            huggingface_hub.constants.HF_HUB_OFFLINE,
        ]

    for library in (datasets.utils, huggingface_hub.utils):
        library.enable_progress_bars()
    before, folder = state(), pawsx_on_the_hub(nano)
    load_corpus(asked(folder), ["en"], ["en"])
    refused(asked(folder, subset="{language}-x"))
    assert state() == before
    with hub._offline(True):
        assert huggingface_hub.is_offline_mode()
        with pytest.raises(ConnectionError):
            datasets.load_dataset_builder(NAME)
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_subsets_must_agree_on_labels(nano: Corpus, pawsx_on_the_hub: Write) -> None:
    folder = pawsx_on_the_hub(nano)
    readme = folder / "README.md"
    head, found, tail = readme.read_text().partition("'1': '1'")
    readme.write_text(head + "'1': 'yes'" + tail)  # in the first language alone
    assert found and "has the labels 0, 1, but" in refused(asked(folder))


def test_an_id_on_the_hub_is_no_path() -> None:
    assert "data.name is not the id of a dataset on the hub: 'a/b/c'" in refused(asked("a/b/c"))


def test_real_text_in_the_layout_of_the_hub(pawsx_dir: Path, pawsx_on_the_hub: Write) -> None:
    directory = DirectoryData(source="directory", path=pawsx_dir / "parallel-split")
    official = load_corpus(directory, ["en", "ja"], ["en", "ja"])
    corpus = load_corpus(asked(pawsx_on_the_hub(official)), ["en", "ja"], ["en", "ja"])
    assert corpus.checksum == official.checksum
