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
KEPT = {"experiments": "artifact_location", "runs": "artifact_uri"}
"""Where MLflow's tables say where files are."""
_BELOW = re.compile(r"(\d+/?)?|(\d+/)?[0-9a-f]{32}/artifacts/?")
"""What comes after the folder: nothing or an experiment's number, or a run's own folder."""


def follow(database: Path, patience: float) -> None:
    """Let a store name the files in the folder beside it, where it names such a folder elsewhere.

    Args:
        database: the file, which exists.
        patience: seconds that another process may take to write it.

    Raises:
        sqlite3.Error: it is not a database, or cannot be written.
    """
    here = database.parent / ARTIFACTS
    with closing(sqlite3.connect(database, timeout=patience)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        known = {name for (name,) in tables.fetchall()}
        for table, column in KEPT.items() if known >= KEPT.keys() else ():
            found = connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall()
            moved = {old: new for (old,) in found if (new := _beside(old, here)) not in (None, old)}
            with connection:
                connection.executemany(
                    f"UPDATE {table} SET {column} = ? WHERE {column} = ?",
                    [(new, old) for old, new in moved.items()],
                )


def _beside(location: str | None, here: Path) -> str | None:
    """The same place in the folder `here`; None of one that is not in such a folder."""
    url = urlsplit(location or "")
    if url.scheme not in ("", "file") or url.netloc or not url.path.startswith("/"):
        return None
    path = unquote(url.path) if url.scheme else url.path
    above, name, below = path.rpartition(f"/{ARTIFACTS}")
    if not name or not _BELOW.fullmatch(below.removeprefix("/")):
        return None
    if Path(above) == here.parent:
        return location
    return here.joinpath(below.removeprefix("/")).as_uri()
