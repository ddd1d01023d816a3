"""Readers for JSON, JSON Lines and Parquet, the formats whose files name their own columns."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tuner.data.corpus import Unit
from tuner.data.sources.cells import Cells, Name, Request, check_columns
from tuner.data.sources.opening import lines_of, opened
from tuner.errors import UserError

EXAMPLE = '{"id": 1, "sentence1": "a", "sentence2": "b", "label": 0}'
Places = Iterator[tuple[int, Any]]


def read_jsonl(file: Path, request: Request) -> Cells:
    """Read columns of a file with one JSON object per line.

    Raises:
        UserError: the file cannot be read, a line is not an object, or an object lacks a key.
    """
    return _cells(file, _by_line(file, lines_of(file)), "line", request)


def read_json(file: Path, request: Request) -> Cells:
    """Read columns of a file that is one JSON array of objects, or has one object per line.

    Raises:
        UserError: the file cannot be read, has a different structure, or an object lacks a key.
    """
    lines = lines_of(file)
    start = "".join(islice(lines, 1))
    if start.strip() in ("", "{", "[") or start.lstrip().startswith("["):
        text = start + "".join(lines)
        if text.strip() and not text.lstrip().startswith("["):
            raise UserError(
                f"{file} is a JSON value over several lines, but not an array",
                f"Write an array of objects, [{EXAMPLE}, …], or one object per line.",
            )
        return _cells(file, _of_array(file, text), "row", request)
    return _cells(file, _by_line(file, chain([start], lines)), "line", request)


def read_parquet(file: Path, request: Request) -> Cells:
    """Read columns of a Parquet file.

    Raises:
        UserError: the file cannot be read, is incomplete, lacks a column, or a string is not UTF-8.
    """
    import pyarrow.parquet  # type: ignore[import-untyped]  # here: other formats do not need it

    with opened(file) as stream:
        content = stream.read() if file.name.lower().endswith(".gz") else None
    try:
        table = pyarrow.parquet.ParquetFile(file if content is None else io.BytesIO(content))
        there = table.schema_arrow.names
        check_columns(str(file), request, there)
        names = [str(name) for name in request.names if name in there]
        if request.most is None:
            read = table.read(columns=names)
        else:
            read = next(table.iter_batches(request.most, columns=names), None)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(
            f"{file} is not a complete Parquet file: {str(error).splitlines()[0]}",
            "Write or download it again.",
        ) from error
    rows = 0 if read is None else read.num_rows
    columns: dict[Name, list[Any]] = {
        name: values_of(read.column(name), str(file), name) if read is not None else []
        for name in names
    }
    return Cells(str(file), columns, range(1, rows + 1), "row", request)


def values_of(column: Any, origin: str, name: str) -> list[Any]:
    """Return the values of an Arrow column.

    Raises:
        UserError: a string is not UTF-8.
    """
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = []
        for number, value in enumerate(column, start=1):
            try:
                values.append(value.as_py())
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{origin}, row {number}: {name} is not UTF-8 ({error.reason})",
                    "Write the file again from text that was decoded with the right encoding.",
                ) from error
    return values


def _cells(file: Path, rows: Places, unit: Unit, request: Request) -> Cells:
    columns: dict[Name, list[Any]] = {name: [] for name in request.names}
    places: list[int] = []
    for place, row in islice(rows, request.most):
        if not isinstance(row, dict):
            raise UserError(
                f"{file}, {unit} {place}: not a JSON object: {json.dumps(row):.80}",
                f"Every {unit} must be one object, such as {EXAMPLE}.",
            )
        check_columns(f"{file}, {unit} {place},", request, list(row))
        if not places:  # the first row decides for all rows which optional columns there are
            columns = {name: values for name, values in columns.items() if name in row}
            request = replace(request, names=tuple(columns), optional=frozenset())
        places.append(place)
        for name, values in columns.items():
            values.append(row[name])
    if not places:
        raise UserError(f"{file} is empty", "Give the file that holds the data.")
    return Cells(str(file), columns, places, unit, request)


def _by_line(file: Path, lines: Iterator[str]) -> Places:
    for number, line in enumerate(lines, start=1):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            remedy = (
                "Remove the blank line." if line.isspace() else "Write one JSON object per line"
            )
            raise UserError(
                f"{file}, line {number}: not JSON ({error})",
                remedy if line.isspace() else f"{remedy}, such as {EXAMPLE}.",
            ) from error


def _of_array(file: Path, text: str) -> Places:
    """Parse the elements of an array one by one, so that reading a head parses only its rows."""
    decoder, place, number = json.JSONDecoder(), _skip(text, 0, "["), 0
    try:
        while text[place : place + 1] not in ("]", ""):
            value, place = decoder.raw_decode(text, place)
            number += 1
            yield number, value
            place = _skip(text, place, "")
            if text[place : place + 1] == ",":
                place = _skip(text, place, ",")
            elif text[place : place + 1] != "]":
                raise json.JSONDecodeError("expected , or ]", text, place)
        rest = text[place + 1 :].strip()
        if not text[place:] or rest:
            raise json.JSONDecodeError("text after ]" if rest else "no ] at the end", text, place)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise UserError(
            f"{file}, line {line}: not JSON ({error}), after {number:,} objects",
            f"Write [{EXAMPLE}, …].",
        ) from error


def _skip(text: str, place: int, token: str) -> int:
    """Skip white space, a token, and white space again; return the new position."""
    while text[place : place + 1] in (" ", "\t", "\r", "\n"):
        place += 1
    place += len(token)
    while text[place : place + 1] in (" ", "\t", "\r", "\n"):
        place += 1
    return place
