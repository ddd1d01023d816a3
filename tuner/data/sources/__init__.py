"""Data sources: each source yields tables, and all tables become a corpus in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tuner.data import nano
from tuner.data.corpus import Corpus, Row, Split, align
from tuner.data.sources.cleaning import clean, identify
from tuner.data.sources.labels import (
    Classes,
    check_forms,
    declared_classes,
    found_classes,
    listed_classes,
)
from tuner.data.sources.tables import SourceTable, quotes_kept
from tuner.errors import UserError
from tuner.study.data import DataConfig, DirectoryData, FilesData, HubData, NanoData

HEAD = 100
"""The number of rows that `look` reads of a large file; it reads small files whole."""


def look(data: DataConfig, languages: Sequence[str], train: Sequence[str]) -> int:
    """Check small files whole, and the first rows of large ones, within a few seconds.

    If all files are small, the check covers all that `load_corpus` checks; otherwise it covers
    paths, columns, languages and labels. It imports neither torch nor `datasets`, and does not use
    the network. It reads no table of a dataset on the hub or of nano.

    Args:
        data: the source.
        languages: all languages of the study.
        train: the training languages.

    Returns:
        The number of tables checked.

    Raises:
        UserError: the same errors that `load_corpus` would raise later.
    """
    _check_source(data, languages)
    if isinstance(data, NanoData | HubData):
        return 0
    languages, train = list(dict.fromkeys(languages)), list(dict.fromkeys(train))
    tables = list(_tables(data, languages, train, HEAD))
    needed = {("train", language) for language in train} | {("dev", each) for each in languages}
    if needed <= {(table.split, table.language) for table in tables if table.whole}:
        _corpus(data, languages, tables)
    elif classes := _classes(data, tables):
        for table in tables:
            classes.check(table)
    else:
        check_forms(tables)
    return len(tables)


def load_corpus(
    data: DataConfig,
    languages: Sequence[str],
    train: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Load the aligned pairs of a study.

    Args:
        data: the source.
        languages: all languages of the study; each needs dev, and test is read if present.
        train: those of `languages` whose training split is needed.
        progress: called with the number of tables read and the total; a table is a language of a
            split.

    Raises:
        UserError: a language, folder, file or column is missing, or a file is invalid; the message
            names the file, the line and the reason.
    """
    languages, train = list(dict.fromkeys(languages)), list(dict.fromkeys(train))
    assert languages
    assert set(train) <= set(languages)
    _check_source(data, languages)
    total = len(train) + 2 * len(languages)
    tables = []
    for number, table in enumerate(_tables(data, languages, train), start=1):
        tables.append(table)
        if progress is not None and number < total:
            progress(number, total)
    if progress is not None:
        progress(total, total)  # even if some languages have no test
    return _corpus(data, languages, tables)


def _corpus(data: DataConfig, languages: list[str], every: Sequence[SourceTable]) -> Corpus:
    """Align whole tables to a corpus.

    Raises:
        UserError: as `load_corpus`.
    """
    tables: dict[Split, dict[str, SourceTable]] = {"train": {}, "dev": {}, "test": {}}
    for table in every:
        tables[table.split][table.language] = table
    classes = _classes(data, every)
    assert classes is not None, "all tables are whole"
    notes: list[str] = []
    if classes.first:
        names = ", ".join(classes.names)
        notes.append(f"labels: {names}, in this order, as {classes.origin} (data.labels sets it)")
    for table in every:
        classes.check(table)
    rows: dict[Split, dict[str, dict[str, Row]]] = {}
    counted: list[str] = []
    for split, of_split in tables.items():
        if of_split:
            ids, assumed = identify(split, of_split)
            readings = {lang: clean(table, ids[lang], classes) for lang, table in of_split.items()}
            rows[split], count = align(split, readings, classes.names)
            counted.append(count)
            notes += assumed
    if untested := [language for language in languages if language not in tables["test"]]:
        notes.append(f"test: none for {', '.join(untested)}")
    train_tables = tables["train"].values()
    if unknown := [table.language for table in train_tables if table.machine_translated is None]:
        notes.append(
            f"machine translation: unknown for {', '.join(unknown)} (set data.machine_translated)"
        )
    notes += quotes_kept(every)
    notes += [remark for remark in dict.fromkeys(table.remark for table in every) if remark]
    return Corpus(
        languages=tuple(languages),
        labels=classes.names,
        rows=rows,
        notes=(*counted, *notes),
        machine_translated=_machine_translated(list(train_tables)),
    )


def _check_source(data: DataConfig, languages: Sequence[str]) -> None:
    """Refuse a missing folder in the hub's layout, and a language that nano lacks."""
    if isinstance(data, NanoData):
        unknown = [language for language in languages if language not in nano.LANGUAGES]
        if unknown:
            raise UserError(
                f"nano has no language {', '.join(unknown)}",
                f"Its languages: {', '.join(nano.LANGUAGES)}.",
            )
    if isinstance(data, HubData) and data.is_folder and not Path(data.name).is_dir():
        raise UserError(
            f"data.name is not a folder: {data.name}",
            "A name that begins with / ~ or . is taken as a folder in the hub's layout, not an id.",
        )


def _tables(
    data: DataConfig, languages: list[str], train: list[str], most: int | None = None
) -> Iterator[SourceTable]:
    """Read the source's tables, `most` rows of large files; only the hub imports `datasets`."""
    if isinstance(data, DirectoryData):
        from tuner.data.sources import directory

        return directory.tables(data, languages, train, most)
    if isinstance(data, FilesData):
        from tuner.data.sources import files

        return files.tables(data, languages, train, most)
    if isinstance(data, HubData):
        from tuner.data.sources import hub

        return hub.tables(data, languages, train)
    return _nano(languages, train)


def _nano(languages: list[str], train: list[str]) -> Iterator[SourceTable]:
    wanted: dict[Split, list[str]] = {"train": train, "dev": languages, "test": languages}
    for split, of_split in wanted.items():
        for language in of_split:
            rows = nano.rows(language, split)
            yield SourceTable(
                split=split,
                language=language,
                origin=f"nano {language} {split}",
                ids=[row.id for row in rows],
                sentences1=[row.sentence1 for row in rows],
                sentences2=[row.sentence2 for row in rows],
                labels=[str(row.label) for row in rows],
                places=range(1, len(rows) + 1),
                machine_translated=language != "en",
                classes=("0", "1"),
            )


def _classes(data: DataConfig, tables: Sequence[SourceTable]) -> Classes | None:
    """Return the classes listed in the settings, else declared by the source, else found in train.

    Classes are found in dev if there is no training table. The result is None if they would have to
    be found in tables that were not read whole: the heads of large files may contain no language of
    the study.
    """
    if not tables:
        return None
    listable = isinstance(data, FilesData | HubData)
    if isinstance(data, FilesData | HubData) and data.labels is not None:
        return listed_classes(data.labels)
    if declared := declared_classes(tables, listable):
        return declared
    train = [table for table in tables if table.split == "train"]
    searched = train or [table for table in tables if table.split == "dev"]
    return found_classes(searched) if all(table.whole for table in searched) else None


def _machine_translated(tables: Sequence[SourceTable]) -> bool | None:
    """Return true if any training text is machine translation; None if unknown."""
    said = {table.machine_translated for table in tables}
    return True if True in said else None if None in said else False
