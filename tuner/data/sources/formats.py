"""Reading files of rows: TSV, CSV, JSONL, Parquet. A mistake is named with its line and reason.

TSV is as PAWS-X is published: tabs separate, and there is no quoting, so that a sentence may hold
quotes but no tab. CSV is RFC 4180 as Python's `csv` reads it: commas separate, quotes may enclose
commas, lines and doubled quotes. Text is UTF-8.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tuner.data.sources.tables import Cells, check_columns
from tuner.errors import UserError


def read_cells(file: Path, names: Sequence[str]) -> Cells:
    """Columns of a file, which is read as its ending says.

    Raises:
        UserError: the file cannot be read, is not as its ending says, or lacks one of `names`.
    """
    if file.suffix not in READERS:
        raise UserError(
            f"{file} is of no known kind", f"A file's name must end in {', '.join(READERS)}."
        )
    return READERS[file.suffix](file, names)


def read_tsv(file: Path) -> tuple[list[str], list[list[str]]]:
    """The header, and the rows from line 2 on, each as long as the header.

    Raises:
        UserError: the file cannot be read, or a row is shorter or longer.
    """
    text = _text(file)
    # Not splitlines(): sentences of PAWS-X hold separators that it would split at, as U+2028.
    lines = [line.removesuffix("\r").split("\t") for line in text.removesuffix("\n").split("\n")]
    header = lines[0]
    for number, row in enumerate(islice(lines, 1, None), start=2):
        if len(row) != len(header):
            raise _ragged(file, number, row, header, "single tabs; there is no quoting")
    return header, lines[1:]


def _tsv(file: Path, names: Sequence[str]) -> Cells:
    header, rows = read_tsv(file)
    return _cells(file, names, header, rows, range(2, len(rows) + 2))


def _csv(file: Path, names: Sequence[str]) -> Cells:
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    rows: list[list[str]] = []
    places = []
    try:
        header = next(reader, [""])
        while True:
            number = reader.line_num + 1  # where the row begins: it may go over several lines
            row = next(reader, None)
            if row is None:
                break
            if len(row) != len(header):
                raise _ragged(file, number, row, header, "commas; quote a field that holds one")
            rows.append(row)
            places.append(number)
    except csv.Error as error:
        raise UserError(
            f"{file}, line {reader.line_num}: not CSV ({error})",
            'A field that holds a comma, a " or a line break is enclosed in ", its own " doubled.',
        ) from error
    return _cells(file, names, header, rows, places)


def _jsonl(file: Path, names: Sequence[str]) -> Cells:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    lines = _text(file).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{file}, line {number}: not JSON ({error})", "Every line is one JSON object."
            ) from error
        if not isinstance(row, dict):
            raise UserError(
                f"{file}, line {number}: not a JSON object: {line:.80}",
                'Every line is one object, as {"id": 1, "sentence1": "a", ...}.',
            )
        check_columns(f"{file}, line {number},", names, list(row))
        for name, values in columns.items():
            values.append(row[name])
    return Cells(str(file), columns, range(1, len(lines) + 1), "line")


def _parquet(file: Path, names: Sequence[str]) -> Cells:
    import pyarrow.parquet  # type: ignore[import-untyped]  # here, for other files do without it

    try:
        with file.open("rb") as opened:
            table = pyarrow.parquet.ParquetFile(opened)
            check_columns(str(file), names, table.schema_arrow.names)
            read = table.read(columns=list(names))
            columns = {name: read.column(name).to_pylist() for name in names}
    except OSError as error:
        if error.errno is None:  # Arrow's own, of a file that breaks off
            raise _broken_parquet(file, error) from error
        raise _unreadable(file, error) from error
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise _broken_parquet(file, error) from error
    return Cells(str(file), columns, range(1, read.num_rows + 1), "row")


READERS: dict[str, Callable[[Path, Sequence[str]], Cells]] = {
    ".tsv": _tsv,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{file}, line {line}: not UTF-8 ({error.reason})", "Convert the file to UTF-8."
        ) from error


def _cells(
    file: Path,
    names: Sequence[str],
    header: list[str],
    rows: list[list[str]],
    places: Sequence[int],
) -> Cells:
    check_columns(f"{file}, line 1,", names, header)
    indices = {name: header.index(name) for name in names}
    columns = {name: [row[index] for row in rows] for name, index in indices.items()}
    return Cells(str(file), columns, places, "line")


def _unreadable(file: Path, error: OSError) -> UserError:
    return UserError(f"cannot read {file}: {error.strerror}", "Check the file and its permissions.")


def _broken_parquet(file: Path, error: Exception) -> UserError:
    return UserError(
        f"{file} is not a whole Parquet file: {str(error).splitlines()[0]}",
        "Write or download it again.",
    )


def _ragged(
    file: Path, number: int, row: Sequence[str], header: Sequence[str], separated: str
) -> UserError:
    return UserError(
        f"{file}, line {number}: {len(row)} columns, expected {len(header)} ({', '.join(header)})",
        f"Columns are separated by {separated}, and no line is blank.",
    )
