"""Every remedy works: the bad input is refused, what the message says is done, and it is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.data.sources.worlds import PAIRS, World, jsonl, pair, tsv, zipped
from tuner.errors import UserError

Change = Callable[[World], None]
NUMBERED = {"id": 1, "sentence1": 2, "sentence2": 3, "label": 4}
DE = "dev.de"


def in_all(change: Callable[[str], str | bytes]) -> Change:
    """A change of every file's text."""

    def changed(world: World) -> None:
        world.files.update({name: change(str(text)) for name, text in world.files.items()})

    return changed


def says(**settings: object) -> Change:
    """Settings of the `data:` block."""
    return lambda world: world.data.update(settings)


def holds(file: str, text: str | bytes) -> Change:
    """A file's content."""
    return lambda world: world.files.update({file: text})


def swaps(file: str, old: str, new: str) -> Change:
    """Something in a file."""
    return lambda world: world.replace(file, old, new)


def renames(old: str, new: str) -> Change:
    """Files, and the settings that name them, by their ending."""

    def changed(world: World) -> None:
        world.files = {name.removesuffix(old) + new: text for name, text in world.files.items()}
        for split in ("train", "dev"):
            world.data[split] = world.data[split].removesuffix(old) + new

    return changed


def then(*changes: Change) -> Change:
    """One after another."""

    def changed(world: World) -> None:
        for change in changes:
            change(world)

    return changed


def csv(language: str) -> str:
    return tsv(language).replace(", ", " ").replace("\t", ",")


def array(language: str) -> str:
    return "[" + ",\n".join(jsonl(language).splitlines()) + "]"


def parquet(language: str, spoilt: bool = False) -> bytes:
    columns = list(map(list, zip(*(pair(language, n) for n in range(PAIRS)), strict=True)))
    arrays = [pyarrow.array(column) for column in columns]
    if spoilt:
        first = pyarrow.array([text.encode("latin-1") + b"\xfc" for text in columns[1]])
        arrays[1] = pyarrow.Array.from_buffers(pyarrow.string(), PAIRS, first.buffers())
    table = pyarrow.table(arrays, names=["id", "sentence1", "sentence2", "label"])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def as_format(ending: str, write: Callable[[str], str | bytes]) -> Change:
    return lambda world: world.as_format(ending, write)


def one_file(world: World) -> None:
    """Both languages in a file a split, with a column that tells them apart."""
    for split in ("train", "dev"):
        lines = [
            "\t".join((*pair(language, number), language))
            for language in ("en", "de")
            for number in range(PAIRS)
        ]
        world.files[f"{split}.tsv"] = "\n".join(
            ["id\tsentence1\tsentence2\tlabel\tlang", *lines, ""]
        )
        world.data[split] = f"{split}.tsv"
    world.data["columns"] = {"language": "lang"}


def official(world: World) -> None:
    """The layout of PAWS-X."""
    world.files.clear()
    world.data = {"source": "directory", "path": "."}
    for language, train in (("en", "train"), ("de", "translated_train")):
        for name in (train, "dev_2k"):
            rows = [f"{n}\t{language} {n}\tb\t{n % 2}" for n in range(4)]
            text = "\n".join(["id\tsentence1\tsentence2\tlabel", *rows, ""])
            world.files[f"{language}/{name}.tsv"] = text


WITHOUT_HEADER = in_all(lambda text: text.partition("\n")[2])
WITHOUT_ID = in_all(
    lambda text: "\n".join(line.partition("\t")[2] for line in text.splitlines()) + "\n"
)
LAST = f"{PAIRS - 1}\tde one, {PAIRS - 1}"
WITHHELD = holds(
    "test.en.tsv", tsv("en").replace("yes", "-").replace("no", "").replace("maybe", "")
)

CASES: dict[str, tuple[Change, str, Change]] = {
    # Columns.
    "no header: numbers": (WITHOUT_HEADER, "reads like data, not a header", says(columns=NUMBERED)),
    "no header: add it": (
        WITHOUT_HEADER,
        "reads like data, not a header",
        in_all(lambda text: "id\tsentence1\tsentence2\tlabel\n" + text),
    ),
    "no header, no id": (
        then(WITHOUT_ID, WITHOUT_HEADER),
        "reads like data, not a header",
        says(columns={"id": None, "sentence1": 1, "sentence2": 2, "label": 3}),
    ),
    "other names": (
        in_all(lambda text: text.replace("label", "gold_label").replace("sentence1", "premise")),
        r"has no column 'sentence1', 'label'\nColumns there: 'id', 'premise', 'sentence2', 'gold_",
        says(columns={"sentence1": "premise", "label": "gold_label"}),
    ),
    "another case": (
        in_all(lambda text: text.replace("label", "Label")),
        r"has no column 'label'\n.*Did you mean 'Label'",
        says(columns={"label": "Label"}),
    ),
    "no ids": (WITHOUT_ID, r"no column 'id'\n.*id: null", says(columns={"id": None})),
    "names of a split": (
        swaps("dev.en.tsv", "label", "gold"),
        "dev.en.tsv, line 1, has no column 'label'",
        then(
            says(dev={"path": "dev.{language}.tsv", "columns": {"label": "gold"}}),
            swaps("dev.de.tsv", "label", "gold"),
        ),
    ),
    "a column twice": (
        swaps("dev.de.tsv", "sentence1", "label"),
        "has no column 'sentence1'",
        swaps("dev.de.tsv", "label", "sentence1"),
    ),
    "a column twice, all there": (
        in_all(lambda text: text.replace("\n", "\tno\n").replace("label\tno", "label\tlabel")),
        "has the column 'label' twice\nRename one of them",
        in_all(lambda text: text.replace("label\tlabel", "label\tother")),
    ),
    "numbered, with a header: names": (
        says(columns=NUMBERED),
        "line 1, reads like a header",
        lambda world: world.data.pop("columns"),
    ),
    "numbered, with a header: removed": (
        says(columns=NUMBERED),
        "line 1, reads like a header",
        WITHOUT_HEADER,
    ),
    "numbered beyond the last": (
        then(WITHOUT_HEADER, says(columns=NUMBERED | {"label": 5})),
        "asks for column 5, but there are 4\nNumber the columns from 1 to 4",
        says(columns=NUMBERED),
    ),
    # What separates fields.
    "TSV named .csv": (
        renames(".tsv", ".csv"),
        "has only one column.*\nTabs separate the fields: name the file .tsv",
        renames(".csv", ".tsv"),
    ),
    "CSV named .tsv": (
        as_format("tsv", csv),
        "has only one column.*\nCommas separate the fields: name the file .csv",
        renames(".tsv", ".csv"),
    ),
    "semicolons": (
        as_format("csv", lambda language: csv(language).replace(",", ";")),
        "has only one column.*\nSemicolons .* write the file with commas",
        in_all(lambda text: text.replace(";", ",")),
    ),
    "TSV numbered, named .csv": (
        then(
            renames(".tsv", ".csv"),
            WITHOUT_HEADER,
            in_all(lambda t: t.replace(", ", " ")),
            says(columns=NUMBERED),
        ),
        "asks for column 2, but there are 1\nTabs separate the fields",
        renames(".csv", ".tsv"),
    ),
    # Rows.
    "a blank line": (
        swaps("dev.de.tsv", f"{LAST}", f"\n{LAST}"),
        "dev.de.tsv, line 7: 1 columns, expected 4 .*\nRemove the blank line",
        swaps("dev.de.tsv", "\n\n", "\n"),
    ),
    "a blank line at the end": (
        lambda world: world.files.update({"dev.de.tsv": tsv("de") + "\n"}),
        "Remove the blank line",
        holds("dev.de.tsv", tsv("de")),
    ),
    "a tab in a sentence": (
        swaps("dev.de.tsv", "de two 3", "de\ttwo 3"),
        "line 5: 5 columns, expected 4 .*\n.*replace the tab",
        swaps("dev.de.tsv", "de\ttwo 3", "de two 3"),
    ),
    "a line break in a sentence": (
        swaps("dev.de.tsv", "de two 3", "de\ntwo 3"),
        "line 5: 3 columns, expected 4 .*\n.*write a row on one line",
        swaps("dev.de.tsv", "de\ntwo 3", "de two 3"),
    ),
    "a comma in a sentence": (
        then(as_format("csv", csv), swaps("dev.de.csv", "de two 3", "de, two 3")),
        'line 5: 5 columns, expected 4 .*\nEnclose a field that holds a comma in "',
        swaps("dev.de.csv", "de, two 3", '"de, two 3"'),
    ),
    "a line break in a field of CSV": (
        then(as_format("csv", csv), swaps("dev.de.csv", "de two 3", "de\ntwo 3")),
        'line 5: 3 columns, expected 4 .*\n.*enclose that field in "',
        swaps("dev.de.csv", "de\ntwo 3", '"de\ntwo 3"'),
    ),
    "a quote that is not closed": (
        then(as_format("csv", csv), swaps("dev.de.csv", "de two 5", '"de two 5')),
        'line 7: a field begins with ".*\nClose it',
        swaps("dev.de.csv", '"de two 5', '"de two 5"'),
    ),
    "a quote that belongs to the text": (
        then(as_format("csv", csv), swaps("dev.de.csv", "de two 5", '"de" two 5')),
        'line 7: not CSV: there is a " inside a field .*\nDouble every "',
        swaps("dev.de.csv", '"de" two 5', '"""de"" two 5"'),
    ),
    # Bytes.
    "latin-1": (
        holds("dev.de.tsv", tsv("de").replace("de two", "für").encode("latin-1")),
        "dev.de.tsv, line 2: not UTF-8 .*\n.*WINDOWS-1252: iconv -f WINDOWS-1252 -t UTF-8",
        holds("dev.de.tsv", tsv("de").replace("de two", "für")),
    ),
    "UTF-16": (
        in_all(lambda text: text.encode("utf-16")),
        "line 1: not UTF-8 .*\n.*UTF-16: iconv -f UTF-16 -t UTF-8",
        lambda world: world.files.update(
            {name: bytes(text).decode("utf-16") for name, text in world.files.items() if text}
        ),
    ),
    "named .gz and not compressed": (
        renames(".tsv", ".tsv.gz"),
        "is not a complete gzip file .*\n.*drop .gz from its name",
        renames(".tsv.gz", ".tsv"),
    ),
    "half a gzip file": (
        then(
            renames(".tsv", ".tsv.gz"),
            in_all(zipped),
            holds("dev.de.tsv.gz", zipped(tsv("de"))[:40]),
        ),
        "dev.de.tsv.gz is not a complete gzip file",
        holds("dev.de.tsv.gz", zipped(tsv("de"))),
    ),
    "compressed without saying so": (
        in_all(zipped),
        "is compressed with gzip\nName it train.en.tsv.gz",
        renames(".tsv", ".tsv.gz"),
    ),
    "Parquet under another name": (
        as_format("tsv", parquet),
        "is a Parquet file\n.*ending .parquet",
        renames(".tsv", ".parquet"),
    ),
    "a zip archive": (
        holds("dev.de.tsv", b"PK\x03\x04 and so on"),
        "is a ZIP archive\nUnpack it",
        holds("dev.de.tsv", tsv("de")),
    ),
    "an empty file": (
        holds("dev.de.tsv", ""),
        "dev.de.tsv is empty\nGive the file that holds the data",
        holds("dev.de.tsv", tsv("de")),
    ),
    "half a Parquet file": (
        then(as_format("parquet", parquet), holds("dev.de.parquet", parquet("de")[:50])),
        "dev.de.parquet is not a complete Parquet file.*\nWrite or download it again",
        holds("dev.de.parquet", parquet("de")),
    ),
    "Parquet with text of another encoding": (
        then(as_format("parquet", parquet), holds("dev.de.parquet", parquet("de", spoilt=True))),
        "dev.de.parquet, row 1: sentence1 is not UTF-8",
        holds("dev.de.parquet", parquet("de")),
    ),
    # JSON.
    "a line that is not JSON": (
        then(as_format("jsonl", jsonl), swaps(f"{DE}.jsonl", '"id": "3"', '"id": 3"')),
        "dev.de.jsonl, line 4: not JSON .*\nWrite one JSON object per line",
        swaps(f"{DE}.jsonl", '"id": 3"', '"id": "3"'),
    ),
    "a blank line in JSON": (
        then(as_format("jsonl", jsonl), swaps(f"{DE}.jsonl", "\n", "\n\n")),
        "dev.de.jsonl, line 2: not JSON .*\nRemove the blank line",
        swaps(f"{DE}.jsonl", "\n\n", "\n"),
    ),
    "a line that is not an object": (
        then(as_format("jsonl", jsonl), swaps(f"{DE}.jsonl", "\n", '\n["a"]\n')),
        "dev.de.jsonl, line 2: not a JSON object.*\nEvery line must be one object",
        swaps(f"{DE}.jsonl", '\n["a"]\n', "\n"),
    ),
    "an object over several lines": (
        then(as_format("json", array), holds(f"{DE}.json", json.dumps({"data": []}, indent=1))),
        "is a JSON value over several lines",
        holds(f"{DE}.json", array("de")),
    ),
    "an array that breaks off": (
        then(as_format("json", array), holds(f"{DE}.json", array("de")[:-1])),
        r"dev.de.json, line 6: not JSON .*\nWrite \[",
        holds(f"{DE}.json", array("de")),
    ),
    "an array with a comma too few": (
        then(as_format("json", array), swaps(f"{DE}.json", "},\n", "}\n")),
        r"dev.de.json, line 2: not JSON .*\nWrite \[",
        swaps(f"{DE}.json", "}\n", "},\n"),
    ),
    "half a character": (
        then(as_format("jsonl", jsonl), swaps(f"{DE}.jsonl", "de two 3", "\\ud83d two 3")),
        r"dev.de.jsonl, line 4: sentence2 holds half a character, the lone surrogate \\ud83d",
        swaps(f"{DE}.jsonl", "\\ud83d", "\\ud83d\\ude00"),
    ),
    "half a character, removed": (
        then(as_format("json", array), swaps(f"{DE}.json", '"id": "3"', '"id": "\\udc00"')),
        "dev.de.json, row 4: id holds half a character.*\n.*or remove it",
        swaps(f"{DE}.json", "\\udc00", "3"),
    ),
    "a number for a sentence": (
        then(as_format("jsonl", jsonl), swaps(f"{DE}.jsonl", '"de two 3"', "1984")),
        "line 4: sentence2 is not text: 1984\n.*write a sentence as text, in quotes",
        swaps(f"{DE}.jsonl", "1984", '"1984"'),
    ),
    "a list for a label": (
        then(
            as_format("jsonl", jsonl),
            in_all(
                lambda t: t.replace('"id"', '"label": ["yes", "no"], "id"').replace(
                    '"label": "', '"gold": "'
                )
            ),
        ),
        "label is neither text nor a number.*\nName another column in data.columns",
        says(columns={"label": "gold"}),
    ),
    # Languages and files.
    "a language that a file does not have": (
        then(one_file, in_all(lambda text: text.replace("\tde\n", "\tdeu\n"))),
        "train.tsv has no row for de\nLanguages in its column 'lang': deu, en. Name the study's",
        in_all(lambda text: text.replace("\tdeu\n", "\tde\n")),
    ),
    "a path that leads nowhere": (
        says(dev="dev-{language}.tsv"),
        "data.dev does not exist.*\nCorrect the path",
        says(dev="dev.{language}.tsv"),
    ),
    "no test": (
        says(test="test.{language}.tsv"),
        "data.test does not exist.*\n.*leave data.test out",
        lambda world: world.data.pop("test"),
    ),
    # Labels and ids.
    "a label far from all": (
        then(
            in_all(lambda text: text.replace("\tmaybe\n", "\t-\n")),
            holds("dev.de.tsv", tsv("de")),
            holds("dev.en.tsv", tsv("en")),
        ),
        "dev.en.tsv, line 4: the label 'maybe' is not one of no, yes .*\nList all classes",
        then(
            says(labels=["no", "yes", "maybe"]),
            holds("train.en.tsv", tsv("en")),
            holds("train.de.tsv", tsv("de")),
        ),
    ),
    "a column that holds no classes": (
        then(in_all(lambda text: text.replace("\n", "\tx\n")), says(columns={"label": "x"})),
        r"has 1 different labels \('x'\)\nName the column of the classes in data.columns",
        says(columns={"label": "label"}),
    ),
    "a split without a class": (
        then(
            says(labels=["no", "yes", "maybe", "never"]),
        ),
        "no clean row for en has the label never\n.*list only the classes that occur",
        says(labels=["no", "yes", "maybe"]),
    ),
    "labels that are withheld": (
        then(WITHHELD, says(test="test.{language}.tsv")),
        "test.en.tsv has no clean row for en; dropped: 6 no label\n.*Leave test out",
        lambda world: world.data.pop("test"),
    ),
    "an id twice": (
        swaps("dev.de.tsv", LAST, "0" + LAST[1:]),
        "dev.de.tsv, line 7: id 0 again, first in line 2\nAn id must name one pair",
        swaps("dev.de.tsv", "0" + LAST[1:], LAST),
    ),
    "a blank id": (
        swaps("dev.de.tsv", LAST, LAST[1:]),
        "dev.de.tsv, line 7: a blank id\nAn id must name one pair",
        swaps("dev.de.tsv", LAST[1:], LAST),
    ),
    "one id, two labels": (
        swaps("dev.de.tsv", "de two 3\tno", "de two 3\tyes"),
        "dev.de.tsv, line 5: id 3 has label yes, but label no in .*\nThe same id must be",
        swaps("dev.de.tsv", "de two 3\tyes", "de two 3\tno"),
    ),
    "rows without ids that are not equally many": (
        then(
            WITHOUT_ID,
            says(columns={"id": None}),
            swaps("dev.de.tsv", "de one, 5\tde two 5\tmaybe\n", ""),
        ),
        "no id column, and 6 rows for en, but 5 for de .*\nAdd the id column",
        then(
            in_all(lambda t: t),
            lambda world: world.data.pop("columns"),
            lambda world: world.files.update(
                {f"{s}.{g}.tsv": tsv(g) for s in ("train", "dev") for g in ("en", "de")}
            ),
        ),
    ),
    # The layout of PAWS-X.
    "PAWS-X: a label": (
        then(official, swaps("de/dev_2k.tsv", "\t1\n", "\t2\n")),
        "de/dev_2k.tsv, line 3: the label '2' is not one of 0, 1",
        swaps("de/dev_2k.tsv", "\t2\n", "\t1\n"),
    ),
    "PAWS-X: a header": (
        then(official, swaps("de/dev_2k.tsv", "id\t", "idx\t")),
        "line 1: unknown header .*\nThe header must be 'id sentence1 sentence2 label'",
        swaps("de/dev_2k.tsv", "idx\t", "id\t"),
    ),
    "PAWS-X: translated by name, and not by the settings": (
        then(official, says(machine_translated=[])),
        "translated_train.tsv is machine translation.*\nAdd de to data.machine_transl",
        says(machine_translated=["de"]),
    ),
    "PAWS-X: the file renamed": (
        then(official, says(machine_translated=[])),
        "or name the file train.tsv",
        lambda world: world.files.update(
            {"de/train.tsv": world.files.pop("de/translated_train.tsv")}
        ),
    ),
    "PAWS-X: both files": (
        then(
            official, lambda w: w.files.update({"de/train.tsv": w.files["de/translated_train.tsv"]})
        ),
        "has both train.tsv and translated_train.tsv\nKeep one",
        lambda world: world.files.pop("de/train.tsv"),
    ),
}


@pytest.mark.parametrize(("breaks", "problem", "mends"), CASES.values(), ids=CASES)
def test_what_the_message_says_to_do_works(
    breaks: Change, problem: str, mends: Change, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.load()
    breaks(world)
    with pytest.raises(UserError, match=problem) as raised:
        world.load()
    assert raised.value.remedy
    assert "\n" not in raised.value.problem
    mends(world)
    assert len(world.load().rows["dev"]["de"]) >= 4
