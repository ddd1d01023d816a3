"""Command lines that messages show to the user, ready to be copied and run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.storage.folders import Place


READER, AGAIN = "TUNER_READER", "TUNER_AGAIN"
"""Environment variables of a command that runs on a cluster for a user elsewhere: the options that
name the cluster there, such as `--address URL`, and the command that submitted the study."""
ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
"""Environment variable in which Ray's own commands look for a cluster's dashboard."""
SENT = "TUNER_CREDENTIALS"
"""Environment variable of a job that names the credentials sent with it."""


def command(name: str, folder: Place) -> str:
    """Return a command on a study, for instance `tuner resume nano --storage elsewhere`.

    Args:
        name: the command, for instance `resume`.
        folder: the study's folder.
    """
    return _command(program(), name, folder, storage_option(folder.parent))


def lasting_command(name: str, folder: Place) -> str:
    """Return the same command for a saved page: absolute paths, so it runs from any folder."""
    storage, called = folder.parent, program()
    if isinstance(storage, Path):
        storage = storage.absolute()
    if called != "tuner":
        script = os.path.abspath(sys.argv[0])
        ours = Path(script).name == "tuner"
        called = shlex.quote(script) if ours else f"{shlex.quote(sys.executable)} -m tuner"
    return _command(called, name, folder, f" --storage {shlex.quote(str(storage))}")


def _command(called: str, name: str, folder: Place, storage: str) -> str:
    reader = os.environ.get(READER)
    if reader and name == "resume":
        return os.environ.get(AGAIN) or f"tuner submit SPACE.yaml {reader}"
    there = f" {reader}" if reader else ""
    return f"{called} {name} {shlex.quote(folder.name)}{storage}{there}"


def more_command(folder: Place, option: str, key: str) -> str:
    """Return the command that resumes a study with a larger budget.

    Args:
        folder: the study's folder.
        option: option of `resume`, such as `--trials +8`.
        key: the setting to change instead when the study runs on a cluster.
    """
    added = f"--set {key}=…" if READER in os.environ else option
    return f"{command('resume', folder)} {added}"


def search_command(space: Path, overrides: Sequence[str]) -> str:
    """Return the command that runs a study's file with its overrides."""
    if again := os.environ.get(AGAIN):
        return again
    options = [option for override in overrides for option in ("--set", override)]
    return f"{program()} search {shlex.join([str(space), *options])}"


def storage_option(storage: Place) -> str:
    """Return ` --storage FOLDER`, with its leading space; empty for the default folder."""
    if not isinstance(storage, Path):
        return f" --storage {shlex.quote(str(storage))}"
    if storage.absolute() == Path("studies").absolute():
        return ""
    inside = storage.absolute().is_relative_to(Path.cwd())
    return f" --storage {shlex.quote(relpath(storage) if inside else str(storage.absolute()))}"


def program() -> str:
    """Return how this program was called: `tuner`, its path, or `python -m tuner`."""
    if which("tuner") or READER in os.environ:
        return "tuner"
    called = Path(sys.argv[0])
    return relpath(called) if called.name == "tuner" else "python -m tuner"
