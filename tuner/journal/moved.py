"""A study whose folder was moved or copied since it began: what its settings name follows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.storage.folders import Place
from tuner.study.parts import SQLITE


def followed(settings: Mapping[str, Any], began: str, folder: Place) -> dict[str, Any]:
    """Recorded settings as they hold where the study stands now.

    Args:
        settings: all of them, or some blocks.
        began: the storage in which the study began.
        folder: the study's own.
    """
    storage = folder.absolute().parent
    found = dict(settings)
    if "storage" in found:
        found["storage"] = str(storage)
    tracking = found.get("tracking")
    if isinstance(tracking, Mapping) and isinstance(uri := tracking.get("uri"), str):
        found["tracking"] = {**tracking, "uri": _followed_store(uri, Path(began), storage)}
    return found


def _followed_store(uri: str, began: Path, storage: Place) -> str:
    """A database in the storage is there still, so that a copy has one of its own."""
    if not uri.startswith(SQLITE) or not isinstance(storage, Path):
        return uri
    database = Path(uri.removeprefix(SQLITE))
    if not database.is_relative_to(began) or began == storage:
        return uri
    return f"{SQLITE}{storage / database.relative_to(began)}"
