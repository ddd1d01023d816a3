"""The file formats, chosen by a file's ending; all may be compressed, for example `dev.tsv.gz`.

Text is UTF-8. Error messages name the line and the reason.
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
"""The reader of each ending in `tuner.study.columns.ENDINGS`."""


def read_cells(file: Path, request: Request) -> Cells:
    """Read columns of a file in the format of its ending.

    Raises:
        UserError: the file cannot be read, has a format other than its ending says, or lacks a
            column.
    """
    return READERS[ending(file)](file, request)
