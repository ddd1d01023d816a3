"""Cleaning of tables: labels become classes, rows get ids, and unusable rows are dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.data.corpus import Row, Split, SplitReading
from tuner.data.sources.labels import Classes
from tuner.data.sources.tables import SourceTable
from tuner.errors import UserError

UNTRANSLATED = "NS"
"""The text that PAWS-X has in place of a sentence that could not be translated."""


def identify(
    split: Split, tables: Mapping[str, SourceTable]
) -> tuple[dict[str, Sequence[str]], tuple[str, ...]]:
    """Return the ids of every language's rows, and a note if some were assigned.

    Tables without ids get them by row: the ids of the other tables, or numbers if no table has ids.

    Raises:
        UserError: ids cannot be assigned by row, because the tables differ in length or order.
    """
    without = {language: table for language, table in tables.items() if table.ids is None}
    known = {language: table.ids for language, table in tables.items() if table.ids is not None}
    if not without:
        return known, ()
    orphan = next(iter(without.values()))
    begin = f"{orphan.origin}, {orphan.unit} 1: no id column, and"
    remedy = "Add the id column; without it all languages must have the same rows in one order."
    for other in tables.values():
        if len(other.places) != len(orphan.places):
            raise UserError(
                f"{begin} {len(orphan.places):,} rows for {orphan.language}, but "
                f"{len(other.places):,} for {other.language} in {other.origin}",
                remedy,
            )
    first = next((tables[language] for language in known), None)
    ids = [str(number) for number in range(1, len(orphan.places) + 1)]
    if first is not None and first.ids is not None:
        ids = list(first.ids)
        for language, others in known.items():
            for place, id_, other_id in zip(first.places, ids, others, strict=True):
                if id_ != other_id:
                    raise UserError(
                        f"{begin} the order of rows differs: {first.unit} {place} is id "
                        f"{id_} in {first.origin}, {other_id} in {tables[language].origin}",
                        remedy,
                    )
    note = f"{split}: no ids in {', '.join(without)}; their rows were joined by order"
    return {language: known.get(language, ids) for language in tables}, (note,)


def clean(table: SourceTable, ids: Sequence[str], classes: Classes) -> SplitReading:
    """Collect the clean rows of a table, and the reasons why the others were dropped.

    Args:
        table: the rows; `classes` knows all their labels.
        ids: the id of each row.
        classes: the classes of the labels.

    Raises:
        UserError: an id is blank or occurs twice.
    """
    rows: dict[str, Row] = {}
    dropped: dict[str, str] = {}
    places: dict[str, int] = {}
    cells = zip(ids, table.sentences1, table.sentences2, table.labels, table.places, strict=True)
    for id_, sentence1, sentence2, label, place in cells:
        if id_ in places or not id_:
            what = f"id {id_} again, first in {table.unit} {places[id_]}" if id_ else "a blank id"
            raise UserError(
                f"{table.origin}, {table.unit} {place}: {what}",
                "An id must name one pair of a language's split.",
            )
        places[id_] = place
        if UNTRANSLATED in (sentence1.strip(), sentence2.strip()):
            dropped[id_] = UNTRANSLATED
        elif not sentence1.strip() or not sentence2.strip():
            dropped[id_] = "blank"
        elif (number := classes.number(label)) is None:
            dropped[id_] = "no label"
        else:
            rows[id_] = Row(id_, sentence1, sentence2, number)
    return SplitReading(table.origin, rows, dropped, places, table.unit)
