"""Which commit of this tool is at work: studies keep it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

VARIABLE = "TUNER_COMMIT"
"""Has the commit where our code was sent without its history, as to a cluster."""


def commit() -> str:
    """The commit of this checkout; `+` where the tree was changed."""
    if sent := os.environ.get(VARIABLE):
        return sent
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, encoding="utf-8", check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"
    return head + ("+" if changed else "")
