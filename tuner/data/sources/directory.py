"""PAWS-X as it is published (arXiv 1908.11828).

FOLDER/LANGUAGE/{train | translated_train, dev_2k, test_2k}.tsv: tab-separated without any quoting,
one pair a line, with the header `id sentence1 sentence2 label`. Where a sentence could not be
translated it reads `NS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tuner.data.corpus import Split
from tuner.data.sources.formats import read_tsv
from tuner.data.sources.tables import Table
from tuner.errors import UserError

FILES: dict[Split, tuple[str, ...]] = {
    "train": ("train.tsv", "translated_train.tsv"),
    "dev": ("dev_2k.tsv",),
    "test": ("test_2k.tsv",),
}
HEADERS = (["id", "sentence1", "sentence2", "label"], ["sentence1", "sentence2", "label"])
CLASSES = ("0", "1")


def tables(folder: Path, languages: list[str], train: list[str]) -> Iterator[Table]:
    """All tables; of a language without a test file, none.

    Raises:
        UserError: a language, folder or file is missing, or a file is not as it must be.
    """
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
            yield _table(split, language, file)


def _table(split: Split, language: str, file: Path) -> Table:
    header, rows = read_tsv(file)
    if header not in HEADERS:
        raise UserError(
            f"{file}, line 1: unknown header {' '.join(header)[:80]!r}",
            f"The header must be {' '.join(HEADERS[0])!r}, separated by tabs (the id may be left "
            f"out where all languages have the same rows in the same order).",
        )
    return Table(
        split=split,
        language=language,
        origin=str(file),
        ids=[row[0] for row in rows] if header == HEADERS[0] else None,
        sentences1=[row[-3] for row in rows],
        sentences2=[row[-2] for row in rows],
        labels=[row[-1] for row in rows],
        places=range(2, len(rows) + 2),
        machine_translated=file.name.startswith("translated"),
        classes=CLASSES,
    )


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
