"""The formats of files, by their ending; any of them may be compressed, as `dev.tsv.gz`.

Text is UTF-8. A mistake is named with its line and reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tuner.data.sources import records, separated
from tuner.data.sources.cells import Cells, Request
from tuner.study.columns import ending

READERS: dict[str, Callable[[Path, Request], Cells]] = {
    ".tsv": separated.read_tsv,
    ".txt": separated.read_tsv,
    ".csv": separated.read_csv,
    ".json": records.read_json,
    ".jsonl": records.read_jsonl,
    ".parquet": records.read_parquet,
}
"""For each of `tuner.study.columns.ENDINGS`, which a study's files have."""


def read_cells(file: Path, request: Request) -> Cells:
    """Columns of a file, which is read as its ending says.

    Raises:
        UserError: the file cannot be read, is not as its ending says, or lacks a column.
    """
    return READERS[ending(file)](file, request)
