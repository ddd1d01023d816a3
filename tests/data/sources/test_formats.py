from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.data.sources.cells import Request, as_text
from tuner.data.sources.formats import read_cells
from tuner.errors import UserError

COLUMNS = ["id", "sentence1", "label"]
Rows = list[tuple[int, str, int]]


def as_tsv(rows: Rows) -> bytes:
    return "\n".join("\t".join(map(str, row)) for row in [COLUMNS, *rows]).encode()


def as_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def as_jsonl(rows: Rows) -> bytes:
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in rows]
    return "\n".join(lines).encode()


def as_parquet(rows: Rows) -> bytes:
    columns = zip(*rows, strict=True)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(list(map(list, columns)), names=COLUMNS), buffer)
    return buffer.getvalue()


text = st.text(st.characters(exclude_categories=["Cs"]))
any_rows = st.lists(st.tuples(st.integers(0, 9), text, st.integers(0, 2)), min_size=1, max_size=5)
# No quoting in TSV: neither tabs nor line feeds can be in a sentence.
tsv_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n"))
tsv_rows = st.lists(st.tuples(st.integers(0, 9), tsv_text, st.integers(0, 2)), min_size=1)


def assert_reads_back(ending: str, content: bytes, rows: Rows) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"file.{ending}"
        file.write_bytes(content)
        cells = read_cells(file, Request(["label", "sentence1"]))  # some columns, in any order
    assert list(cells.columns) == ["label", "sentence1"]
    assert cells.sentences("sentence1") == [sentence for _, sentence, _ in rows]
    assert cells.texts("label") == [str(label) for *_, label in rows]
    assert len(cells.places) == len(rows)


@given(tsv_rows)
def test_tsv_reads_back(rows: Rows) -> None:
    assert_reads_back("tsv", as_tsv(rows), rows)
    assert_reads_back("tsv", as_tsv(rows).replace(b"\n", b"\r\n") + b"\r\n", rows)


@pytest.mark.parametrize(
    ("ending", "written"), [("csv", as_csv), ("jsonl", as_jsonl), ("parquet", as_parquet)]
)
def test_any_text_reads_back(ending: str, written: Callable[[Rows], bytes]) -> None:
    @given(any_rows)
    def check(rows: Rows) -> None:
        assert_reads_back(ending, written(rows), rows)
        if ending != "parquet":
            assert_reads_back(ending, b"\xef\xbb\xbf" + written(rows), rows)

    check()


def test_lines_of_csv_are_where_a_row_begins(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('id,sentence1,label\n1,"a\n""b"",\n\nc",0\n2,d,1\n', "utf-8")
    cells = read_cells(file, Request(COLUMNS))
    assert list(cells.places) == [2, 6] and cells.unit == "line"
    assert cells.sentences("sentence1") == ['a\n"b",\n\nc', "d"]


def test_rows_of_parquet_are_counted_from_1(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(as_parquet([(1, "a", 0), (2, "b", 1)]))
    assert list(read_cells(file, Request(COLUMNS)).places) == [1, 2]
    assert read_cells(file, Request(COLUMNS)).unit == "row"


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, ""), (1, "1"), (1.0, "1"), (0.5, "0.5"), (True, "true"), ("1.0", "1.0"), (-1, "-1")],
)
def test_labels_and_ids_read_the_same_in_every_format(value: Any, written: str) -> None:
    assert as_text(value) == written


HEADER = "id,sentence1,label\n"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", "", "a.txt is empty"),
        ("a.TSV", "id\tsentence1\tlabel\n1\ta\n", "a.TSV, line 2: 2 columns, expected 3 (id, sen"),
        ("a.tsv", "id\tsentence1\tlabel\n1\ta\n", "a.tsv, line 2: 2 columns, expected 3 (id, sen"),
        ("a.tsv", "id\tsentence\tlabel\n", "a.tsv, line 1, has no column 'sentence1'"),
        ("a.tsv", "id\tid\tsentence1\tlabel\n", "a.tsv, line 1, has the column 'id' twice"),
        ("a.csv", HEADER + '1,"a\nb",0\n2,a\n', "a.csv, line 4: 2 columns, expected 3"),
        ("a.csv", HEADER + "1,a,0\n\n2,b,0\n", "a.csv, line 3: 0 columns, expected 3"),
        ("a.csv", HEADER + '1,"a"b,0\n', 'a.csv, line 2: not CSV: there is a " inside a field'),
        ("a.csv", HEADER + '1,"a,0\n', 'a.csv, line 2: a field begins with "'),
        ("a.csv", HEADER.replace(",", ";"), "a.csv, line 1, has only one column: 'id;sentence1"),
        ("a.csv", "", "a.csv is empty"),
        ("a.jsonl", '{"id": 1, "sentence1": "a", "label": 0}\n{"id"\n', "line 2: not JSON (Expect"),
        ("a.jsonl", '["a"]', 'a.jsonl, line 1: not a JSON object: ["a"]'),
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.jsonl", '{"id": 1, "label": 0}', "a.jsonl, line 1, has no column 'sentence1'"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: not JSON (maximum recursion"),
        ("a.parquet", "", "a.parquet is not a complete Parquet file: "),
        ("a.parquet", "PAR1 garbage PAR1", "a.parquet is not a complete Parquet file: "),
    ],
)
def test_broken_files_are_named_with_line_and_reason(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(UserError, match=re.escape(problem)) as raised:
        read_cells(tmp_path / name, Request(COLUMNS))
    assert str(tmp_path / name) in raised.value.problem
    assert raised.value.remedy and "\n" not in raised.value.problem


def test_columns_that_are_there_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(as_parquet([(1, "a", 0)]))
    with pytest.raises(UserError, match=r"has no column 'text'\n.*'id', 'sentence1', 'label'"):
        read_cells(file, Request(["id", "text"]))


def test_a_torn_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = as_parquet([(1, "a" * 100, 0)])
    middle = len(whole) // 3
    for torn in (whole[:-20], whole[:middle] + whole[middle + 9 :], whole[:4] + whole[-60:]):
        (tmp_path / "a.parquet").write_bytes(torn)
        with pytest.raises(UserError, match="is not a complete Parquet file"):
            read_cells(tmp_path / "a.parquet", Request(COLUMNS))


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl", "parquet"])
def test_what_cannot_be_opened_is_named(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a.{ending}").mkdir()
    with pytest.raises(UserError, match=rf"cannot read .*a\.{ending}: Is a directory"):
        read_cells(tmp_path / f"a.{ending}", Request(COLUMNS))


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("tsv", "id\nfür\n"),
        ("txt", "id\nfür\n"),
        ("csv", "id\nfür\n"),
        ("jsonl", '{"id": 1}\n{"id": "für"}\n'),
        ("json", '[{"id": 1},\n{"id": "für"}]\n'),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_other_encodings_are_refused(
    tmp_path: Path, ending: str, text: str, compressed: bool
) -> None:
    file = tmp_path / f"a.{ending}{'.gz' if compressed else ''}"
    content = text.encode("latin-1")
    file.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(UserError, match=rf"{file.name}, line 2: not UTF-8"):
        read_cells(file, Request(["id"]))


def test_sentences_are_text_or_null(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": 1, "s": null}\n{"id": 2, "s": 3}\n', "utf-8")
    with pytest.raises(UserError, match="line 2: s is not text: 3"):
        read_cells(file, Request(["s"])).sentences("s")
    file.write_text('{"id": 1, "s": null}\n', "utf-8")
    assert read_cells(file, Request(["s"])).sentences("s") == [""]
