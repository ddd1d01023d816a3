"""The commit of this tool that is at work: studies keep it."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import distributions
from pathlib import Path

VARIABLE = "TUNER_COMMIT"
"""Has the commit where our code was sent without its history, as to a cluster."""
ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
)
"""Name a repository in the environment, as git sets them for a hook: not the one that is asked."""
SECONDS = 30.0
"""That git has for an answer; a second is usual, a network file system slow."""


def commit(package: Path = Path(__file__).parent) -> str:
    """The commit of the code at work; `+` where it was changed; empty where none is known.

    An installed package may lie in an environment inside somebody's repository. So a repository
    counts only where it tracks the package; else pip knows the commit if it installed from git.

    Args:
        package: the folder of the code.
    """
    if sent := os.environ.get(VARIABLE):
        return sent
    try:
        _git(package, "ls-files", "--error-unmatch", Path(__file__).name)
        head = _git(package, "rev-parse", "HEAD")
        changed = _git(package, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return _installed(package)
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    environment = {name: text for name, text in os.environ.items() if name not in ELSEWHERE}
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=SECONDS,
    )
    return answer.stdout.strip()


def _installed(package: Path) -> str:
    """The commit that pip installed from, as PEP 610 records it; empty where it was not git."""
    ours = f"{package.name}/{Path(__file__).name}"
    for found in distributions(path=[str(package.parent)]):
        recorded = found.read_text("direct_url.json")
        if recorded and any(file.as_posix() == ours for file in found.files or ()):
            origin = json.loads(recorded).get("vcs_info", {})
            return str(origin.get("commit_id", ""))
    return ""
