"""A sqlite store that was moved or copied: the files of its runs are beside it, wherever it stands.

MLflow writes down absolutely where the files of an experiment and of each run are. In a folder that
was moved that leads nowhere, and in a copy to the original's files, which would be overwritten.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "mlartifacts"
"""Name of the folder beside a sqlite store that has the files of its runs."""
TAG = "tuner.study_id"
"""A tag of every run that is a study's or a trial's."""
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
"""By table of MLflow's: the column that says where files are, which rows are ours, and how often
the condition names the tag. An experiment is ours where all of its runs are."""
_BELOW = re.compile(r"(\d+/?)?|(\d+/)?[0-9a-f]{32}/artifacts/?")
"""What comes after the folder: nothing or an experiment's number, or a run's own folder."""


def follow(database: Path, patience: float) -> None:
    """Let a store name the files in the folder beside it, where it names such a folder elsewhere.

    Only those of studies and trials: what else a user keeps in the store stays as it is. So does
    all that still is in a folder with no store of this name beside it, which did not move along.

    Args:
        database: the file, which exists.
        patience: seconds that another process may take to write it.

    Raises:
        sqlite3.Error: it is not a database, or cannot be written.
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
    """The same place in the folder beside the database; None of one that stays where it is."""
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
