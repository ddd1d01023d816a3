"""Where pairs come from: a folder in the official layout of PAWS-X, or the built-in nano languages.

PAWS-X (arXiv 1908.11828) is published as FOLDER/LANGUAGE/{train | translated_train, dev_2k,
test_2k}.tsv: tab-separated without any quoting, one pair a line, with the header
`id sentence1 sentence2 label`. Where a sentence could not be translated it reads `NS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tuner.data import nano
from tuner.data.corpus import Corpus, Reading, Row, Split, align
from tuner.errors import UserError
from tuner.study.data import DataConfig

FILES: dict[Split, tuple[str, ...]] = {
    "train": ("train.tsv", "translated_train.tsv"),
    "dev": ("dev_2k.tsv",),
    "test": ("test_2k.tsv",),
}
HEADERS = (("id", "sentence1", "sentence2", "label"), ("sentence1", "sentence2", "label"))
UNTRANSLATED = "NS"


def load_corpus(data: DataConfig, languages: Sequence[str], train: Sequence[str]) -> Corpus:
    """The aligned pairs of a study.

    Args:
        data: the source.
        languages: all languages of the study; of each, dev is needed, and test read if there.
        train: those of `languages` whose training split is needed.

    Raises:
        UserError: a language, folder or file is missing, or a file is not as it must be; names the
            file, the line and the reason.
    """
    languages, train = list(dict.fromkeys(languages)), list(dict.fromkeys(train))
    assert languages
    assert set(train) <= set(languages)
    if data.source == "nano":
        return _nano(languages, train)
    assert data.path is not None
    return _directory(data.path, languages, train)


def _nano(languages: list[str], train: list[str]) -> Corpus:
    unknown = [language for language in languages if language not in nano.LANGUAGES]
    if unknown:
        raise UserError(
            f"nano has no language {', '.join(unknown)}",
            f"Its languages: {', '.join(nano.LANGUAGES)}.",
        )
    readings: dict[Split, dict[str, Reading]] = {
        "train": {language: _nano_reading(language, "train") for language in train},
        "dev": {language: _nano_reading(language, "dev") for language in languages},
        "test": {language: _nano_reading(language, "test") for language in languages},
    }
    mistranslated = any(language != "en" for language in train)
    return _corpus(languages, readings, [], mistranslated)


def _nano_reading(language: str, split: Split) -> Reading:
    rows = {row.id: row for row in nano.rows(language, split)}
    lines = {id_: line for line, id_ in enumerate(rows, start=1)}
    return Reading(f"nano {language} {split}", rows, {}, lines)


def _directory(folder: Path, languages: list[str], train: list[str]) -> Corpus:
    _check_folders(folder, languages)
    files: dict[Split, dict[str, Path]] = {
        "train": _files(folder, "train", train),
        "dev": _files(folder, "dev", languages),
        "test": _files(folder, "test", languages),
    }
    _check_complete(folder, "train", train, files["train"])
    _check_complete(folder, "dev", languages, files["dev"])
    notes: list[str] = []
    readings: dict[Split, dict[str, Reading]] = {}
    for split, of_split in files.items():
        tables = {language: _read_table(file) for language, file in of_split.items()}
        readings[split], assumed = _identify(split, tables)
        notes += assumed
    untested = [language for language in languages if language not in files["test"]]
    if untested:
        notes.append(f"test: no file for {', '.join(untested)}")
    translated = any(file.name == "translated_train.tsv" for file in files["train"].values())
    return _corpus(languages, readings, notes, translated)


def _corpus(
    languages: list[str],
    readings: dict[Split, dict[str, Reading]],
    notes: list[str],
    machine_translated: bool,
) -> Corpus:
    rows: dict[Split, dict[str, dict[str, Row]]] = {}
    counted = []
    for split, of_split in readings.items():
        if of_split:
            rows[split], note = align(split, of_split)
            counted.append(note)
    return Corpus(tuple(languages), rows, (*counted, *notes), machine_translated)


def _check_folders(folder: Path, languages: list[str]) -> None:
    if not folder.is_dir():
        raise UserError(
            f"data.path is no folder: {folder}",
            "Give the folder that holds one folder a language, as en/dev_2k.tsv.",
        )
    missing = [language for language in languages if not (folder / language).is_dir()]
    if missing:
        there = sorted(child.name for child in folder.iterdir() if child.is_dir())
        raise UserError(
            f"{folder} has no folder for {', '.join(missing)}",
            f"Folders there: {', '.join(there) or 'none'}.",
        )


def _files(folder: Path, split: Split, languages: list[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for language in languages:
        candidates = [folder / language / name for name in FILES[split]]
        there = [file for file in candidates if file.exists()]
        if len(there) > 1:
            raise UserError(
                f"{folder / language} has both {' and '.join(file.name for file in there)}",
                "Keep one: train.tsv is original text, translated_train.tsv machine translation.",
            )
        if there:
            files[language] = there[0]
    return files


def _check_complete(
    folder: Path, split: Split, languages: list[str], files: Mapping[str, Path]
) -> None:
    missing = [language for language in languages if language not in files]
    if missing:
        names = " or ".join(FILES[split])
        raise UserError(
            f"{folder} has no {split} file for {', '.join(missing)}: "
            f"{folder / missing[0]} lacks {names}",
            f"Add the missing files, or name other languages or another data.path. "
            f"The source languages need a training file, and every language {FILES['dev'][0]}.",
        )


@dataclass(frozen=True, slots=True)
class _Table:
    """The lines after a file's header: id (if the file has ids), sentence1, sentence2, label."""

    file: Path
    has_ids: bool
    lines: list[list[str]]


def _read_table(file: Path) -> _Table:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {file}: {error.strerror}", "Check the file and its permissions."
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{file}, line {line}: not UTF-8 ({error.reason})", "Convert the file to UTF-8."
        ) from error
    # Not splitlines(): sentences of PAWS-X hold separators that it would split at, as U+2028.
    lines = [line.removesuffix("\r").split("\t") for line in text.removesuffix("\n").split("\n")]
    header = tuple(lines[0])
    if header not in HEADERS:
        raise UserError(
            f"{file}, line 1: unknown header {' '.join(header)[:80]!r}",
            f"The header must be {' '.join(HEADERS[0])!r}, separated by tabs (the id may be left "
            f"out where all languages have the same rows in the same order).",
        )
    for number, columns in enumerate(islice(lines, 1, None), start=2):
        if len(columns) != len(header):
            raise UserError(
                f"{file}, line {number}: {len(columns)} columns, expected {len(header)} "
                f"({', '.join(header)})",
                "Columns are separated by single tabs; there is no quoting, and no blank line.",
            )
    return _Table(file, len(header) == len(HEADERS[0]), lines[1:])


def _identify(
    split: Split, tables: Mapping[str, _Table]
) -> tuple[dict[str, Reading], tuple[str, ...]]:
    """Clean every table. Files without ids get them by row: those of the others, or numbers."""
    without = {language: table for language, table in tables.items() if not table.has_ids}
    if not without:
        return {language: _clean(table) for language, table in tables.items()}, ()
    orphan = next(iter(without.values()))
    remedy = "Add the id column; without it pairs can only be joined by an equal order of rows."
    for other in tables.values():
        if len(other.lines) != len(orphan.lines):
            raise UserError(
                f"{orphan.file}, line 1: no id column, and {len(orphan.lines):,} rows, "
                f"but {other.file} has {len(other.lines):,}",
                remedy,
            )
    known = [table for table in tables.values() if table.has_ids]
    ids = [line[0] for line in known[0].lines] if known else _numbers(len(orphan.lines))
    for other in known[1:]:
        for number, (id_, line) in enumerate(zip(ids, other.lines, strict=True), start=2):
            if line[0] != id_:
                raise UserError(
                    f"{orphan.file}, line 1: no id column, and the order of rows is not the same: "
                    f"line {number} is id {id_} in {known[0].file}, {line[0]} in {other.file}",
                    remedy,
                )
    identified = {
        language: _Table(
            table.file, True, [[i, *line] for i, line in zip(ids, table.lines, strict=True)]
        )
        if language in without
        else table
        for language, table in tables.items()
    }
    note = f"{split}: no ids in {', '.join(without)}; their rows were joined by order"
    return {language: _clean(table) for language, table in identified.items()}, (note,)


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _clean(table: _Table) -> Reading:
    rows: dict[str, Row] = {}
    dropped: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, (id_, sentence1, sentence2, label) in enumerate(table.lines, start=2):
        if id_ in lines:
            raise UserError(
                f"{table.file}, line {number}: id {id_} again, first in line {lines[id_]}",
                "An id must name one pair of the file.",
            )
        lines[id_] = number
        if UNTRANSLATED in (sentence1.strip(), sentence2.strip()):
            dropped[id_] = UNTRANSLATED
        elif not sentence1.strip() or not sentence2.strip():
            dropped[id_] = "blank"
        elif label not in ("0", "1"):
            dropped[id_] = "label not 0 or 1"
        else:
            rows[id_] = Row(id_, sentence1, sentence2, int(label))
    return Reading(str(table.file), rows, dropped, lines)
