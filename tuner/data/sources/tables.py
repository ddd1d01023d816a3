"""Tables of pairs, the output of every source: one language of one split each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.data.corpus import Split, Unit
from tuner.data.sources.cells import Cells, Name, Request
from tuner.errors import UserError
from tuner.study.columns import ColumnsConfig
from tuner.study.data import AnyCorpus


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One language of one split as it was read: no row is dropped yet, and labels are still text.

    Attributes:
        split: train, dev or test.
        language: code of the language.
        origin: the file, or its equivalent in messages.
        ids: ids of the rows; None if the source has none.
        sentences1: the first sentence of every row.
        sentences2: the second sentence of every row.
        labels: labels as text; blank if missing.
        places: the line or row of `origin` that each row came from.
        unit: the unit that `places` count.
        machine_translated: true if the text is machine translation; None if unknown.
        classes: labels in class order, if the source declares them.
        keeps_quotes: true if quotes around a sentence are part of its text.
        whole: true if all rows were read, not only the head.
        remark: a line for the user, shown once per corpus.
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
    machine_translated: bool | None = False
    classes: tuple[str, ...] = ()
    keeps_quotes: bool = False
    whole: bool = True
    remark: str = ""

    def place(self, row: int) -> str:
        """Return the place of a row, for messages."""
        return f"{self.origin}, {self.unit} {self.places[row]}"


def request(
    columns: ColumnsConfig, key: str, split: Split, languages: Sequence[str], most: int | None
) -> Request:
    """Return the request for a table of these languages.

    Args:
        columns: names of the columns.
        key: the setting that names them.
        split: the split; only in a wide table of test may a language lack its columns.
        languages: the languages that the table should contain.
        most: maximum number of rows to read; None for all.
    """
    names: dict[Name, None] = {}
    optional: set[Name] = set()
    for language in languages:
        own = columns.of(language)
        named = (own.id, own.sentence1, own.sentence2, own.label, own.language)
        names |= dict.fromkeys(name for name in named if name is not None)
        if columns.wide and split == "test":
            optional |= {own.sentence1, own.sentence2}
    return Request(list(names), key, frozenset(optional), most)


def tables_of(
    cells: Cells,
    data: AnyCorpus,
    columns: ColumnsConfig,
    split: Split,
    languages: Sequence[str],
    classes: tuple[str, ...] = (),
    remark: str = "",
) -> list[SourceTable]:
    """Split cells into the tables of these languages, in this order.

    A language that is absent from test has no test table.

    Args:
        cells: one table of all languages, or of the only one of `languages`.
        data: settings of the corpus.
        columns: names of the table's columns.
        split: the split of the table.
        languages: the requested languages.
        classes: labels in class order, if the source declares them.
        remark: a line for the user.

    Raises:
        UserError: a language has no row, or a value is invalid.
    """
    rows: dict[str, Sequence[int]] = dict.fromkeys(languages, range(len(cells.places)))
    if columns.language is not None:
        rows = _rows_by_language(cells, columns.language, languages, split)
    elif columns.wide:
        rows = {
            language: found
            for language, found in rows.items()
            if columns.of(language).sentence1 in cells.columns
        }
    return [
        _table(cells, data, columns.of(language), split, language, chosen, classes, remark)
        for language, chosen in rows.items()
    ]


def _table(
    cells: Cells,
    data: AnyCorpus,
    columns: ColumnsConfig,
    split: Split,
    language: str,
    rows: Sequence[int],
    classes: tuple[str, ...],
    remark: str,
) -> SourceTable:
    own = cells.chosen(rows)
    return SourceTable(
        split=split,
        language=language,
        origin=cells.origin,
        ids=None if columns.id is None else own.texts(columns.id),
        sentences1=own.sentences(columns.sentence1),
        sentences2=own.sentences(columns.sentence2),
        labels=own.texts(columns.label),
        places=own.places,
        unit=cells.unit,
        machine_translated=is_translated(data.machine_translated, language),
        classes=classes,
        keeps_quotes=cells.keeps_quotes,
        whole=cells.request.most is None,
        remark=remark,
    )


def is_translated(machine_translated: Sequence[str] | None, language: str) -> bool | None:
    """Return true if the settings name the language; None if the setting is absent."""
    return None if machine_translated is None else language in machine_translated


def quotes_kept(tables: Sequence[SourceTable]) -> list[str]:
    """Return a note for the user if sentences of a TSV file begin and end with a quote."""
    counts: dict[str, tuple[int, int]] = {}
    for table in tables:
        if table.keeps_quotes:
            quoted, of = counts.get(table.language, (0, 0))
            fields = (*table.sentences1, *table.sentences2)
            quoted += sum(len(text) > 1 and text[0] == text[-1] == '"' for text in fields)
            counts[table.language] = quoted, of + len(fields)
    if not any(quoted for quoted, _ in counts.values()):
        return []
    words = ", ".join(f"{lang} {quoted:,} of {of:,}" for lang, (quoted, of) in counts.items())
    return [f'TSV is read with its quotes; sentences that begin and end with ": {words}']


def _rows_by_language(
    cells: Cells, column: Name, languages: Sequence[str], split: Split
) -> dict[str, Sequence[int]]:
    found: dict[str, list[int]] = {}
    for number, language in enumerate(cells.texts(column)):
        found.setdefault(language, []).append(number)
    rows: dict[str, Sequence[int]] = {
        language: found[language] for language in languages if language in found
    }
    whole = cells.request.most is None  # a head may lack languages
    if whole and (not rows or (split != "test" and len(rows) < len(languages))):
        missing = [language for language in languages if language not in rows]
        raise UserError(
            f"{cells.origin} has no row for {', '.join(missing)}",
            f"Languages in its column {column!r}: {', '.join(sorted(found))[:200] or 'none'}. "
            f"Name the study's languages as the file does, or name another column in "
            f"{cells.request.key}.",
        )
    return rows
