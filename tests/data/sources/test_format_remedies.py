"""Every remedy works for how files are written: columns, rows, bytes and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data.sources.changes import (
    DE,
    LAST,
    NUMBERED,
    WITHOUT_HEADER,
    WITHOUT_ID,
    Change,
    array,
    as_format,
    assert_mended,
    csv,
    holds,
    in_all,
    parquet,
    renames,
    says,
    swaps,
    then,
)
from tests.data.sources.worlds import World, jsonl, tsv, zipped

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
}


@pytest.mark.parametrize(("breaks", "problem", "mends"), CASES.values(), ids=CASES)
def test_what_the_message_says_to_do_works(
    breaks: Change, problem: str, mends: Change, tmp_path: Path
) -> None:
    assert_mended(World(tmp_path), breaks, problem, mends)
