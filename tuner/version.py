"""The commit of the running code, which studies record."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import distributions
from pathlib import Path

VARIABLE = "TUNER_COMMIT"
"""Environment variable with the commit when the code was sent without its git history, for
instance to a cluster."""
ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
)
"""Environment variables that git sets for hooks; they name a repository other than ours."""
SECONDS = 30.0
"""Time limit of a git command; a second is usual, a network file system can be slow."""


def commit(package: Path = Path(__file__).parent) -> str:
    """Return the commit of the running code, with `+` if it was changed; empty if unknown.

    An installed package may lie in an environment inside an unrelated repository. So a repository
    counts only if it tracks the package. Without one, pip knows the commit of a package that it
    installed from git.

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
    """Return the output of a git command in a folder."""
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
    """Return the commit that pip installed from (PEP 610); empty if it did not install from git."""
    ours = f"{package.name}/{Path(__file__).name}"
    for found in distributions(path=[str(package.parent)]):
        recorded = found.read_text("direct_url.json")
        if recorded and any(file.as_posix() == ours for file in found.files or ()):
            origin = json.loads(recorded).get("vcs_info", {})
            return str(origin.get("commit_id", ""))
    return ""
