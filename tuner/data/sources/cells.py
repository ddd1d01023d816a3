"""Cells: the columns of a file as they were read, before they are interpreted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tuner.data.corpus import Unit
from tuner.errors import UserError, nearest

Name = str | int
"""The name of a column in the header, or its number, from 1, in a file without a header."""


@dataclass(frozen=True, slots=True)
class Request:
    """The columns and rows to read from a file.

    Attributes:
        names: names of the columns.
        key: the setting that names columns, for messages.
        optional: those of `names` that the file may lack.
        most: maximum number of rows to read; None for all.
    """

    names: Sequence[Name]
    key: str = "data.columns"
    optional: frozenset[Name] = frozenset()
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Cells:
    """Columns of a file as they were read, by name.

    Attributes:
        origin: the file, or its equivalent in messages.
        columns: the values of each requested column, all of the same length.
        places: the line or row of `origin` that each value came from.
        unit: the unit that `places` count.
        request: the request for these columns.
        keeps_quotes: true if quotes around a field are part of its text.
    """

    origin: str
    columns: dict[Name, list[Any]]
    places: Sequence[int]
    unit: Unit
    request: Request
    keeps_quotes: bool = False

    def chosen(self, rows: Sequence[int]) -> Cells:
        """Return some of the rows."""
        if len(rows) == len(self.places):
            return self
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return replace(self, columns=columns, places=[self.places[row] for row in rows])

    def texts(self, column: Name) -> list[str]:
        """Return ids, labels or languages as text, converted by `as_text`.

        Raises:
            UserError: a value is a list, an object or bytes.
        """
        return [as_text(value) for value in self._scalars(column)]

    def sentences(self, column: Name) -> list[str]:
        """Return the sentences of a column; null becomes a blank text.

        Raises:
            UserError: a value is neither text nor null.
        """
        values = []
        for place, value in zip(self.places, self.columns[column], strict=True):
            if value is not None and not isinstance(value, str):
                raise UserError(
                    f"{self.origin}, {self.unit} {place}: {column} is not text: {value!r:.80}",
                    f"Name the columns of the two sentences in {self.request.key}; write a "
                    f"sentence as text, in quotes.",
                )
            self._check_whole(column, place, value)
            values.append(value or "")
        return values

    def _scalars(self, column: Name) -> Iterator[Any]:
        for place, value in zip(self.places, self.columns[column], strict=True):
            if not (value is None or isinstance(value, str | bool | int | float)):
                raise UserError(
                    f"{self.origin}, {self.unit} {place}: {column} is neither text nor a number: "
                    f"{value!r:.80}",
                    f"Name another column in {self.request.key}, or write one value in each row.",
                )
            self._check_whole(column, place, value)
            yield value

    def _check_whole(self, column: Name, place: int, value: Any) -> None:
        """Refuse a lone surrogate, half a character, which JSON can encode but UTF-8 cannot."""
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"\\u{ord(value[error.start]):04x}"
                raise UserError(
                    f"{self.origin}, {self.unit} {place}: {column} holds half a character, "
                    f"the lone surrogate {half}",
                    "Write the character whole, in UTF-8 or as both its \\u escapes, or remove it.",
                ) from error


def check_columns(origin: str, request: Request, there: Sequence[str]) -> None:
    """Refuse a table that lacks a requested column or has it twice."""
    missing = [name for name in request.names if name not in there and name not in request.optional]
    if missing:
        raise UserError(
            f"{origin} has no column {', '.join(map(repr, missing))}",
            f"Columns there: {', '.join(map(repr, there))[:200] or 'none'}. "
            f"{_hint(missing[0], there)}Name yours in {request.key}"
            f"{' (id: null if there are no ids)' if 'id' in missing else ''}.",
        )
    for name in request.names:
        if list(there).count(str(name)) > 1:
            raise UserError(f"{origin} has the column {name!r} twice", "Rename one of them.")


def _hint(missing: Name, there: Sequence[str]) -> str:
    folded = {name.strip().lower(): name for name in there}
    if same := folded.get(str(missing).strip().lower()):
        return f"Did you mean {same!r}? "
    hint = nearest(str(missing), list(there))
    return f"{hint[:1].upper()}{hint[1:]} " if hint.startswith("did") else ""


def as_text(value: Any) -> str:
    """Return a scalar as a file writes it: null and NaN are blank, 1.0 is `1`, true is `true`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
