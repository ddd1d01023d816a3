"""The source for any corpus of sentence pairs in files: one per language, or one for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuner.data.corpus import Split
from tuner.data.sources.formats import read_cells
from tuner.data.sources.opening import is_there, rows_of_head
from tuner.data.sources.tables import SourceTable, request, tables_of
from tuner.errors import UserError
from tuner.study.columns import LANGUAGE
from tuner.study.data import FilesData


def tables(
    data: FilesData, languages: list[str], train: list[str], most: int | None = None
) -> Iterator[SourceTable]:
    """Read all tables; a language without test has no test table.

    Args:
        data: the paths and columns of the files.
        languages: all languages that are evaluated.
        train: the training languages.
        most: rows to read of a large file; None for all.

    Raises:
        UserError: a file, a column or a language is missing, or a file is invalid.
    """
    of_split: dict[Split, list[str]] = {"train": train, "dev": languages, "test": languages}
    files = {
        split: _files(split, file.path, of_split[split]) for split, file in data.splits.items()
    }
    for split, of_files in files.items():
        columns = data.columns_of(split)
        for file, in_file in of_files.items():
            rows = rows_of_head(file, most)
            cells = read_cells(file, request(columns, data.key_of(split), split, in_file, rows))
            yield from tables_of(cells, data, columns, split, in_file)


def _files(split: Split, pattern: str, languages: list[str]) -> dict[Path, list[str]]:
    """Return the existing files, and the languages of each."""
    files = {Path(pattern.replace(LANGUAGE, language)): [language] for language in languages}
    if LANGUAGE not in pattern and languages:
        files = {Path(pattern): languages}
    missing = [file for file in files if not is_there(file)]
    if missing and (split != "test" or len(missing) == len(files)):
        shown = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        either = "leave data.test out" if split == "test" else "name other languages"
        raise UserError(
            f"data.{split} does not exist: {shown}",
            f"Correct the path, or {either}. {LANGUAGE} in the path stands for a language.",
        )
    return {file: of_file for file, of_file in files.items() if file not in missing}
