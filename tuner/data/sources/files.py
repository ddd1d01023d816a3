"""Any corpus of sentence pairs in files: one a language, or one of all languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuner.data.corpus import Split
from tuner.data.sources.formats import read_cells
from tuner.data.sources.tables import Table, tables_of
from tuner.errors import UserError
from tuner.study.data import LANGUAGE, FilesData


def tables(data: FilesData, languages: list[str], train: list[str]) -> Iterator[Table]:
    """All tables; of a language without test, none.

    Raises:
        UserError: a file, a column or a language is missing, or a file is not as it must be.
    """
    patterns: dict[Split, str] = {"train": data.train, "dev": data.dev}
    if data.test is not None:
        patterns["test"] = data.test
    of_split = {"train": train, "dev": languages, "test": languages}
    files = {split: _files(split, path, of_split[split]) for split, path in patterns.items()}
    for split, pattern in patterns.items():
        shared = LANGUAGE not in pattern
        for file, in_file in files[split].items():
            cells = read_cells(file, data.wanted(shared))
            yield from tables_of(cells, data, split, in_file, shared)


def _files(split: Split, pattern: str, languages: list[str]) -> dict[Path, list[str]]:
    """The languages of every file that there is."""
    files = {Path(pattern.replace(LANGUAGE, language)): [language] for language in languages}
    if LANGUAGE not in pattern and languages:
        files = {Path(pattern): languages}
    missing = [file for file in files if not file.exists()]
    if missing and (split != "test" or len(missing) == len(files)):
        shown = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")
        either = "leave data.test out" if split == "test" else "name other languages"
        raise UserError(
            f"data.{split} leads to what is not there: {shown}",
            f"Correct the path, or {either}. {LANGUAGE} in it stands for a language.",
        )
    return {file: of_file for file, of_file in files.items() if file not in missing}
