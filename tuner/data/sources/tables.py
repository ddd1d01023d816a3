"""Tables: what every source gives, one language of one split at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuner.data.corpus import Split, Unit
from tuner.errors import UserError
from tuner.study.data import AnyCorpus


@dataclass(frozen=True, slots=True)
class Table:
    """One language of one split as it was read: nothing dropped yet, and labels still words.

    Attributes:
        split: train, dev or test.
        language: its code.
        origin: the file, or what stands for one in messages.
        ids: of its rows; None where the source has none.
        sentences1: the first sentence of every row.
        sentences2: the second.
        labels: as text.
        places: the line or row of `origin` that each came from.
        unit: what `places` count.
        machine_translated: whether its text is machine translation.
        classes: labels in class order, where the source declares them.
        remark: a line for the user, said once a corpus.
    """

    split: Split
    language: str
    origin: str
    ids: Sequence[str] | None
    sentences1: Sequence[str]
    sentences2: Sequence[str]
    labels: Sequence[str]
    places: Sequence[int]
    unit: Unit = "line"
    machine_translated: bool = False
    classes: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """Columns of a file as they were read, by name.

    Attributes:
        origin: the file, or what stands for one in messages.
        columns: values by column; those that were asked for, all of one length.
        places: the line or row of `origin` that each came from.
        unit: what `places` count.
    """

    origin: str
    columns: dict[str, list[Any]]
    places: Sequence[int]
    unit: Unit

    def texts(self, column: str) -> list[str]:
        """Ids, labels or languages as text: 1 is `1`, and so is 1.0; true is `true`."""
        return [as_text(value) for value in self.columns[column]]

    def sentences(self, column: str) -> list[str]:
        """Text; where it is null, blank.

        Raises:
            UserError: a value is something else.
        """
        values = self.columns[column]
        for place, value in zip(self.places, values, strict=True):
            if value is not None and not isinstance(value, str):
                raise UserError(
                    f"{self.origin}, {self.unit} {place}: {column} is not text: {value!r:.80}",
                    "Name the columns of the two sentences in data.columns.",
                )
        return [value or "" for value in values]


def check_columns(origin: str, names: Sequence[str], there: Sequence[str]) -> None:
    """Refuse a table that lacks a column, or has it twice."""
    missing = [name for name in names if name not in there]
    if missing:
        raise UserError(
            f"{origin} has no column {', '.join(map(repr, missing))}",
            f"Columns there: {', '.join(map(repr, there))[:200] or 'none'}. Name yours in "
            f"data.columns (id: null where there are no ids).",
        )
    for name in names:
        if list(there).count(name) > 1:
            raise UserError(f"{origin} has the column {name!r} twice", "Rename one of them.")


def tables_of(
    cells: Cells,
    data: AnyCorpus,
    split: Split,
    languages: Sequence[str],
    shared: bool,
    classes: tuple[str, ...] = (),
    remark: str = "",
) -> list[Table]:
    """The tables of these languages, in this order; of a language of test without a row, none.

    Args:
        cells: one table of all languages, or of the only one of `languages`.
        data: what the columns are called.
        split: what is in it.
        languages: those wanted.
        shared: whether `cells` holds all languages, told apart by a column.
        classes: labels in class order, where the source declares them.
        remark: for the user.

    Raises:
        UserError: a language has no row, or a sentence is no text.
    """
    columns = data.columns
    rows: dict[str, Sequence[int]] = dict.fromkeys(languages, range(len(cells.places)))
    if shared:
        assert columns.language is not None
        found: dict[str, list[int]] = {}
        for number, language in enumerate(cells.texts(columns.language)):
            found.setdefault(language, []).append(number)
        rows = {language: found[language] for language in languages if language in found}
        if not rows or (split != "test" and len(rows) < len(languages)):
            missing = [language for language in languages if language not in rows]
            raise UserError(
                f"{cells.origin} has no row for {', '.join(missing)}",
                f"Languages in its column {columns.language!r}: "
                f"{', '.join(sorted(found))[:200] or 'none'}.",
            )
    ids = None if columns.id is None else cells.texts(columns.id)
    sentences1, sentences2 = cells.sentences(columns.sentence1), cells.sentences(columns.sentence2)
    labels = cells.texts(columns.label)
    return [
        Table(
            split=split,
            language=language,
            origin=cells.origin,
            ids=None if ids is None else [ids[row] for row in chosen],
            sentences1=[sentences1[row] for row in chosen],
            sentences2=[sentences2[row] for row in chosen],
            labels=[labels[row] for row in chosen],
            places=[cells.places[row] for row in chosen],
            unit=cells.unit,
            machine_translated=language in data.machine_translated,
            classes=classes,
            remark=remark,
        )
        for language, chosen in rows.items()
    ]


def as_text(value: Any) -> str:
    """A scalar as it is written in a file: null is blank, 1.0 is `1`, and true is `true`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
