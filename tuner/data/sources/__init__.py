"""Where pairs come from: a source gives tables, and all tables become a corpus in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tuner.data import nano
from tuner.data.corpus import Corpus, Row, Split, align
from tuner.data.sources.cleaning import clean, declared_classes, found_classes, identify
from tuner.data.sources.tables import Table, as_text
from tuner.errors import UserError
from tuner.study.data import DataConfig, DirectoryData, FilesData, HubData


def load_corpus(
    data: DataConfig,
    languages: Sequence[str],
    train: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """The aligned pairs of a study.

    Args:
        data: the source.
        languages: all languages of the study; of each, dev is needed, and test read if there.
        train: those of `languages` whose training split is needed.
        progress: called with the tables (a language of a split) read, and those to read in all.

    Raises:
        UserError: a language, folder, file or column is missing, or a file is not as it must be;
            names the file, the line and the reason.
    """
    languages, train = list(dict.fromkeys(languages)), list(dict.fromkeys(train))
    assert languages
    assert set(train) <= set(languages)
    total = len(train) + 2 * len(languages)
    tables: dict[Split, dict[str, Table]] = {"train": {}, "dev": {}, "test": {}}
    for number, table in enumerate(_tables(data, languages, train), start=1):
        tables[table.split][table.language] = table
        if progress is not None and number < total:
            progress(number, total)
    if progress is not None:
        progress(total, total)  # also where some have no test

    every = [table for of_split in tables.values() for table in of_split.values()]
    classes, notes = _classes(data, tables, every)
    rows: dict[Split, dict[str, dict[str, Row]]] = {}
    counted: list[str] = []
    for split, of_split in tables.items():
        if of_split:
            ids, assumed = identify(split, of_split)
            readings = {lang: clean(table, ids[lang], classes) for lang, table in of_split.items()}
            rows[split], count = align(split, readings, classes)
            counted.append(count)
            notes += assumed
    if untested := [language for language in languages if language not in tables["test"]]:
        notes.append(f"test: none for {', '.join(untested)}")
    notes += [remark for remark in dict.fromkeys(table.remark for table in every) if remark]
    return Corpus(
        languages=tuple(languages),
        labels=classes,
        rows=rows,
        notes=(*counted, *notes),
        machine_translated=any(table.machine_translated for table in tables["train"].values()),
    )


def _tables(data: DataConfig, languages: list[str], train: list[str]) -> Iterator[Table]:
    """What the source has; `datasets` is imported only where it is the source."""
    if isinstance(data, DirectoryData):
        from tuner.data.sources import directory

        return directory.tables(data.path, languages, train)
    if isinstance(data, FilesData):
        from tuner.data.sources import files

        return files.tables(data, languages, train)
    if isinstance(data, HubData):
        from tuner.data.sources import hub

        return hub.tables(data, languages, train)
    return _nano(languages, train)


def _nano(languages: list[str], train: list[str]) -> Iterator[Table]:
    unknown = [language for language in languages if language not in nano.LANGUAGES]
    if unknown:
        raise UserError(
            f"nano has no language {', '.join(unknown)}",
            f"Its languages: {', '.join(nano.LANGUAGES)}.",
        )
    wanted: dict[Split, list[str]] = {"train": train, "dev": languages, "test": languages}
    for split, of_split in wanted.items():
        for language in of_split:
            rows = nano.rows(language, split)
            yield Table(
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


def _classes(
    data: DataConfig, tables: dict[Split, dict[str, Table]], every: Sequence[Table]
) -> tuple[tuple[str, ...], list[str]]:
    """Labels in class order, and a note where they were taken from the rows."""
    if isinstance(data, FilesData | HubData) and data.labels is not None:
        return tuple(as_text(label) for label in data.labels), []
    if classes := declared_classes(every):
        return classes, []
    split: Split = "train" if tables["train"] else "dev"
    classes = found_classes(list(tables[split].values()))
    told = f"labels: {', '.join(classes)}, in this order, as found in {split} (data.labels sets it)"
    return classes, [told]
