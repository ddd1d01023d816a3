"""Completion of arguments in a shell, which `tuner --install-completion` switches on."""

from __future__ import annotations

from glob import escape, glob
from pathlib import Path

import typer

SPACES = "search_spaces/"
"""The folder whose files are offered before anything is typed."""


def studies(context: typer.Context, incomplete: str) -> list[str]:
    """Return the studies in the storage whose names begin with a text; none for an object store."""
    from tuner.journal.journal import studies_in

    storage = str(context.params.get("storage") or "studies")
    if "://" in storage or not Path(storage).is_dir():
        return []
    names = [folder.name for folder in studies_in(Path(storage))]
    return [name for name in names if name.startswith(incomplete)]


def spaces(incomplete: str) -> list[str]:
    """Return the YAML files whose paths begin with a text; the shell completes other paths."""
    begun = incomplete or (SPACES if Path(SPACES).is_dir() else "")
    return sorted(glob(f"{escape(begun)}*.yaml"))
