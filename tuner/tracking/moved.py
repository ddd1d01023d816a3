"""Repair of file locations in a sqlite store that was moved or copied.

MLflow records absolute paths for the files of an experiment and of each run. After a move these
paths lead nowhere. In a copy they lead to the original's files, which would be overwritten.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "mlartifacts"
"""Name of the folder beside a sqlite store that holds the files of its runs."""
TAG = "tuner.study_id"
"""A tag of every run of a study or trial."""
_TABLES = {"experiments", "runs", "tags"}
_OURS = "SELECT run_uuid FROM tags WHERE key = ?"
_KEPT = {
    "experiments": (
        "artifact_location",
        f"""experiment_id IN (SELECT experiment_id FROM runs WHERE run_uuid IN ({_OURS}))
        AND experiment_id NOT IN (SELECT experiment_id FROM runs WHERE run_uuid NOT IN ({_OURS}))
        """,
        2,
    ),
    "runs": ("artifact_uri", f"run_uuid IN ({_OURS})", 1),
}
"""The column with the location of files, the condition that selects our rows, and the number of
times that this condition names the tag, for each of MLflow's tables. An experiment is ours if all
of its runs are."""
_BELOW = re.compile(r"(\d+/?)?|(\d+/)?[0-9a-f]{32}/artifacts/?")
"""The part of a location after the folder: empty, an experiment's number, or a run's folder."""


def follow(database: Path, patience: float) -> None:
    """Make a store's locations of files point to the folder beside it, if they point elsewhere.

    Only locations of studies and trials change; other entries of the user stay as they are. A
    location also stays if its folder still exists with no store of this name beside it, since that
    folder did not move along.

    Args:
        database: the store's file, which exists.
        patience: seconds to wait for another process that writes to it.

    Raises:
        sqlite3.Error: the file is not a database, or cannot be written.
    """
    with closing(sqlite3.connect(database, timeout=patience)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        known = {name for (name,) in tables.fetchall()}
        for table, (column, ours, tags) in _KEPT.items() if known >= _TABLES else ():
            mine = [TAG] * tags
            select = f"SELECT DISTINCT {column} FROM {table} WHERE {ours}"
            found = connection.execute(select, mine).fetchall()
            moved = {old: new for (old,) in found if (new := _beside(old, database))}
            with connection:
                connection.executemany(
                    f"UPDATE {table} SET {column} = ? WHERE {column} = ? AND {ours}",
                    [(new, old, *mine) for old, new in moved.items()],
                )


def _beside(location: str | None, database: Path) -> str | None:
    """Return the new location in the folder beside the database; None if it stays unchanged."""
    url = urlsplit(location or "")
    if url.scheme not in ("", "file") or url.netloc or not url.path.startswith("/"):
        return None
    path = unquote(url.path) if url.scheme else url.path
    above, name, below = path.rpartition(f"/{ARTIFACTS}")
    if not name or not _BELOW.fullmatch(below.removeprefix("/")):
        return None
    there, here = Path(above), database.parent
    if there == here or ((there / ARTIFACTS).exists() and not (there / database.name).exists()):
        return None
    return (here / ARTIFACTS).joinpath(below.removeprefix("/")).as_uri()
