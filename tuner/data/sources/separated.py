"""Readers for TSV and CSV, with a header or, where the settings number the columns, without one.

TSV follows PAWS-X: tabs separate fields and there is no quoting, so that a sentence may contain
quotes but no tab. CSV follows RFC 4180 as Python's `csv` reads it: commas separate fields, and
quotes may enclose commas, line breaks and doubled quotes.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tuner.data.sources.cells import Cells, Name, Request, check_columns
from tuner.data.sources.opening import lines_of
from tuner.errors import UserError

csv.field_size_limit(2**31 - 1)  # practically no limit; Python's default is 131,072

DATA_WORDS = 3
"""The number of words from which a field in line 1 looks like a sentence, not a column's name."""


class Line(NamedTuple):
    """A row and the line on which it begins."""

    place: int
    fields: list[str]


def read_tsv(file: Path, request: Request) -> Cells:
    """Read columns of a TSV file.

    Raises:
        UserError: the file cannot be read, lacks a column, or has rows of different lengths.
    """
    return _cells(file, tsv_lines(file), request, "\t")


def read_csv(file: Path, request: Request) -> Cells:
    """Read columns of a CSV file.

    Raises:
        UserError: as in `read_tsv`, or the file is not valid CSV.
    """
    return _cells(file, _csv_lines(file), request, ",")


def tsv_lines(file: Path) -> Iterator[Line]:
    """Read every line, split at tabs.

    splitlines() would also split at separators inside the sentences of PAWS-X, such as U+2028.
    """
    for number, line in enumerate(lines_of(file), start=1):
        yield Line(number, line.removesuffix("\n").removesuffix("\r").split("\t"))


def _csv_lines(file: Path) -> Iterator[Line]:
    reader = csv.reader(_physical_lines(file), strict=True)
    while True:
        begins = reader.line_num + 1  # a row may span several lines
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _not_csv(file, begins, reader.line_num, error) from error
        if row is None:
            return
        yield Line(begins, row)


def _physical_lines(file: Path) -> Iterator[str]:
    """Yield lines as `csv` counts them: a carriage return alone also ends a line."""
    for line in lines_of(file):
        yield from io.StringIO(line, newline="") if "\r" in line else (line,)


def _cells(file: Path, lines: Iterator[Line], request: Request, separator: str) -> Cells:
    first = next(lines, None)
    if first is None:
        raise UserError(f"{file} is empty", "Give the file that holds the data.")
    indices = _indices(file, first, request, separator)
    numbered = any(isinstance(name, int) for name in request.names)
    chosen: dict[Name, list[Any]] = {name: [] for name in indices}
    places = []
    rows = _with(first, lines) if numbered else lines
    for place, fields in islice(rows, request.most):
        if len(fields) != len(first.fields):
            raise _ragged(file, Line(place, fields), first, numbered, separator)
        places.append(place)
        for name, index in indices.items():
            chosen[name].append(fields[index])
    return Cells(str(file), chosen, places, "line", request, keeps_quotes=separator == "\t")


def _with(first: Line, others: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from others


def _indices(file: Path, first: Line, request: Request, separator: str) -> dict[Name, int]:
    """Return the index of each requested column that the file has."""
    numbers = [name for name in request.names if isinstance(name, int)]
    width = len(first.fields)
    if numbers:
        if beyond := [number for number in numbers if number > width]:
            raise UserError(
                f"{file}, line 1: {request.key} asks for column {beyond[0]}, but there are {width}",
                _another_separator(first.fields, separator)
                or f"Number the columns from 1 to {width} in {request.key}; leave data.test out "
                f"if its labels are withheld.",
            )
        if _reads_like_header([first.fields[number - 1] for number in numbers]):
            raise UserError(
                f"{file}, line 1, reads like a header: {separator.join(first.fields)!r:.80}",
                f"Name the columns in {request.key} instead of numbering them, or remove line 1.",
            )
        return {number: number - 1 for number in numbers}
    origin = f"{file}, line 1,"
    if not set(request.names) & set(first.fields):
        if remedy := _another_separator(first.fields, separator):
            raise UserError(f"{origin} has only one column: {first.fields[0]!r:.80}", remedy)
        if _reads_like_data(first.fields):
            raise UserError(
                f"{origin} reads like data, not a header: {separator.join(first.fields)!r:.80}",
                f"Number the columns of a file without a header in {request.key}, such as "
                f"{{id: null, sentence1: 1, sentence2: 2, label: 3}}; or add the header.",
            )
    check_columns(origin, request, first.fields)
    return {name: first.fields.index(str(name)) for name in request.names if name in first.fields}


def _another_separator(fields: Sequence[str], separator: str) -> str:
    """Return the remedy for a file with a different separator; "" if the separator is right."""
    if len(fields) != 1:
        return ""
    if separator == "," and "\t" in fields[0]:
        return "Tabs separate the fields: name the file .tsv, where quotes do not enclose fields."
    if separator == "\t" and "," in fields[0]:
        return "Commas separate the fields: name the file .csv."
    if ";" in fields[0]:
        return "Semicolons separate the fields: write the file with commas, as .csv."
    return ""


def _reads_like_data(fields: Sequence[str]) -> bool:
    """Return true if a field is blank, a number, or more like a sentence than a name."""
    return any(
        not field.strip()
        or re.fullmatch(r"[-+]?\d+(\.\d+)?", field.strip())
        or len(field.split()) >= DATA_WORDS
        or unicodedata.category(field.rstrip()[-1]) == "Po"  # a full stop of any script
        for field in fields
    )


def _reads_like_header(fields: Sequence[str]) -> bool:
    """Return true if all fields look like names, and one is a typical column name."""
    names = [field.strip().lower() for field in fields]
    return all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names) and any(
        name.startswith(("sentence", "label", "gold_label", "premise", "hypo", "text", "question"))
        for name in names
    )


def _not_csv(file: Path, begins: int, number: int, error: csv.Error) -> UserError:
    if "unexpected end" in str(error):
        return UserError(
            f'{file}, line {begins}: a field begins with ", but no " closes it',
            'Close it, or enclose the field in " and double the " that it begins with.',
        )
    row = f" of the row that begins in line {begins}" if begins < number else ""
    return UserError(
        f'{file}, line {number}: not CSV: there is a " inside a field{row} ({error})',
        'Double every " that is part of the text: "say ""no""".',
    )


def _ragged(file: Path, line: Line, first: Line, numbered: bool, separator: str) -> UserError:
    got, expected = len(line.fields), len(first.fields)
    like = "as in line 1" if numbered else f"({', '.join(first.fields):.100})"
    if not "".join(line.fields).strip():
        remedy = "Remove the blank line."
    elif separator == "\t":
        remedy = (
            "Perhaps a sentence contains a tab; TSV has no quoting: replace the tab with a blank."
            if got > expected
            else "A field is missing, or a line break divides a sentence: TSV has no quoting, so "
            "write a row on one line."
        )
    else:
        remedy = (
            'Enclose a field that holds a comma in ".'
            if got > expected
            else 'A field is missing, or a line break divides one: enclose that field in ".'
        )
    return UserError(
        f"{file}, line {line.place}: {got} columns, expected {expected} {like}", remedy
    )
