"""Tables of pairs: what every source gives, one language of one split at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuner.data.corpus import Split, Unit
from tuner.data.sources.cells import Cells, Name, Request
from tuner.errors import UserError
from tuner.study.columns import ColumnsConfig
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
        labels: as text; blank where there is none.
        places: the line or row of `origin` that each came from.
        unit: what `places` count.
        machine_translated: whether its text is machine translation; None where it is not known.
        classes: labels in class order, where the source declares them.
        keeps_quotes: quotes around a sentence are part of its text.
        whole: all rows were read, not the head alone.
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
    machine_translated: bool | None = False
    classes: tuple[str, ...] = ()
    keeps_quotes: bool = False
    whole: bool = True
    remark: str = ""

    def place(self, row: int) -> str:
        """For messages."""
        return f"{self.origin}, {self.unit} {self.places[row]}"


def request(
    columns: ColumnsConfig, key: str, split: Split, languages: Sequence[str], most: int | None
) -> Request:
    """The columns to read from a table of these languages.

    Args:
        columns: what they are called.
        key: the setting that says so.
        split: a language may have no columns in a wide table of test, and in no other.
        languages: that the table should hold.
        most: rows to read at most.
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
) -> list[Table]:
    """The tables of these languages, in this order; of a language of test without a row, none.

    Args:
        cells: one table of all languages, or of the only one of `languages`.
        data: what is said of the corpus.
        columns: what the columns of this table are called.
        split: what is in it.
        languages: those wanted.
        classes: labels in class order, where the source declares them.
        remark: for the user.

    Raises:
        UserError: a language has no row, or a value is not as it must be.
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
) -> Table:
    own = cells.chosen(rows)
    return Table(
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
    """True where the settings name a language, None where they are silent."""
    return None if machine_translated is None else language in machine_translated


def quotes_kept(tables: Sequence[Table]) -> list[str]:
    """A note for people where sentences begin and end with a quote that TSV does not take away."""
    counts: dict[str, tuple[int, int]] = {}
    for table in tables:
        if table.keeps_quotes:
            quoted, of = counts.get(table.language, (0, 0))
            fields = (*table.sentences1, *table.sentences2)
            quoted += sum(len(text) > 1 and text[0] == text[-1] == '"' for text in fields)
            counts[table.language] = quoted, of + len(fields)
    if not any(quoted for quoted, _ in counts.values()):
        return []
    told = ", ".join(f"{lang} {quoted:,} of {of:,}" for lang, (quoted, of) in counts.items())
    return [f'TSV is read with its quotes; sentences that begin and end with ": {told}']


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
            f"Call the study's languages as the file does, or name another column in "
            f"{cells.request.key}.",
        )
    return rows
