"""Moved or copied studies: recorded paths are adapted to the study's current folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.storage.folders import Place
from tuner.study.parts import SQLITE


def with_current_paths(settings: Mapping[str, Any], began: str, folder: Place) -> dict[str, Any]:
    """Return recorded settings with paths adapted to the study's current folder.

    Args:
        settings: all recorded settings, or some blocks of them.
        began: the storage in which the study began.
        folder: the study's current folder.
    """
    storage = folder.absolute().parent
    found = dict(settings)
    if "storage" in found:
        found["storage"] = str(storage)
    tracking = found.get("tracking")
    if isinstance(tracking, Mapping) and isinstance(uri := tracking.get("uri"), str):
        found["tracking"] = {**tracking, "uri": _current_store(uri, Path(began), storage)}
    return found


def _current_store(uri: str, began: Path, storage: Place) -> str:
    """Return the URI of an SQLite database in the old storage at its place in the new one.

    So a copied study has a database of its own. Other URIs stay as they are.
    """
    if not uri.startswith(SQLITE) or not isinstance(storage, Path):
        return uri
    database = Path(uri.removeprefix(SQLITE))
    if not database.is_relative_to(began) or began == storage:
        return uri
    return f"{SQLITE}{storage / database.relative_to(began)}"
