"""The source for a PAWS-X directory in its published layout (arXiv 1908.11828).

FOLDER/LANGUAGE/{train | translated_train, dev_2k, test_2k}.tsv: tab-separated without any quoting,
one pair per line, with the header `id sentence1 sentence2 label`. A sentence that could not be
translated reads `NS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tuner.data.corpus import Split
from tuner.data.sources.cells import Request
from tuner.data.sources.opening import is_there, rows_of_head
from tuner.data.sources.separated import Line, read_tsv, tsv_lines
from tuner.data.sources.tables import SourceTable, is_translated
from tuner.errors import UserError
from tuner.study.data import DirectoryData

ORIGINAL, TRANSLATED = "train.tsv", "translated_train.tsv"
FILES: dict[Split, tuple[str, ...]] = {
    "train": (ORIGINAL, TRANSLATED),
    "dev": ("dev_2k.tsv",),
    "test": ("test_2k.tsv",),
}
HEADERS = (["id", "sentence1", "sentence2", "label"], ["sentence1", "sentence2", "label"])
CLASSES = ("0", "1")
ENGLISH = "en"
"""The original language of PAWS-X."""


def tables(
    data: DirectoryData, languages: list[str], train: list[str], most: int | None = None
) -> Iterator[SourceTable]:
    """Read all tables; a language without a test file has no test table.

    Args:
        data: the folder and the settings for its texts.
        languages: all languages that are evaluated.
        train: the training languages.
        most: rows to read of a large file; None for all.

    Raises:
        UserError: a language, folder or file is missing, or a file is invalid.
    """
    folder = data.path
    _check_folders(folder, languages)
    files: dict[Split, dict[str, Path]] = {
        "train": _files(folder, "train", train),
        "dev": _files(folder, "dev", languages),
        "test": _files(folder, "test", languages),
    }
    _check_complete(folder, "train", train, files["train"])
    _check_complete(folder, "dev", languages, files["dev"])
    for split, of_split in files.items():
        for language, file in of_split.items():
            translated = _translated(data, language, file) if split == "train" else False
            yield _table(split, language, file, translated, most)


def _table(
    split: Split, language: str, file: Path, machine_translated: bool | None, most: int | None
) -> SourceTable:
    header = next(tsv_lines(file), Line(1, [])).fields
    if header not in HEADERS:
        raise UserError(
            f"{file}, line 1: unknown header {' '.join(header)[:80]!r}",
            f"The header must be {' '.join(HEADERS[0])!r}, separated by tabs (the id may be left "
            f"out if all languages have the same rows in the same order). To read a file without "
            f"this header, set data.source: files.",
        )
    cells = read_tsv(file, Request(header, most=rows_of_head(file, most)))
    return SourceTable(
        split=split,
        language=language,
        origin=cells.origin,
        ids=cells.texts("id") if "id" in cells.columns else None,
        sentences1=cells.sentences("sentence1"),
        sentences2=cells.sentences("sentence2"),
        labels=cells.texts("label"),
        places=cells.places,
        machine_translated=machine_translated,
        classes=CLASSES,
        keeps_quotes=cells.keeps_quotes,
        whole=cells.request.most is None,
    )


def _translated(data: DirectoryData, language: str, file: Path) -> bool | None:
    """Return true if a training file is machine translation; None if unknown.

    `translated_train.tsv` is. `en/train.tsv`, from which PAWS-X was translated, is not. For other
    languages the name train.tsv says nothing.

    Raises:
        UserError: the file's name says that it is, but the settings say that it is not.
    """
    said = is_translated(data.machine_translated, language)
    if file.name == TRANSLATED:
        if said is False:
            raise UserError(
                f"{file} is machine translation according to its name, but data.machine_translated "
                f"does not name {language}",
                f"Add {language} to data.machine_translated, or name the file {ORIGINAL}.",
            )
        return True
    return False if said is None and language == ENGLISH else said


def _check_folders(folder: Path, languages: list[str]) -> None:
    if not folder.is_dir():
        raise UserError(
            f"data.path is not a folder: {folder}",
            "Give the folder that holds one folder per language, with files such as en/dev_2k.tsv.",
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
        there = [file for file in candidates if is_there(file)]
        if len(there) > 1:
            raise UserError(
                f"{folder / language} has both {' and '.join(file.name for file in there)}",
                "Keep one: train.tsv is original text, translated_train.tsv is machine "
                "translation.",
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
