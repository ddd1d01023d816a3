"""Commands as they are shown to the user: they can be copied and run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.storage.folders import Place


def command(name: str, folder: Place) -> str:
    """A command on a study, for instance `tuner resume nano --storage elsewhere`.

    Args:
        name: the command, for instance `resume`.
        folder: the study's own.
    """
    return f"{program()} {name} {shlex.quote(folder.name)}{storage_option(folder.parent)}"


def search_command(space: Path, overrides: Sequence[str]) -> str:
    """The command that runs a study's file as it is overridden."""
    options = [option for override in overrides for option in ("--set", override)]
    return f"{program()} search {shlex.join([str(space), *options])}"


def storage_option(storage: Place) -> str:
    """What names the folder of studies, after a space; nothing where it is the default one."""
    if not isinstance(storage, Path):
        return f" --storage {shlex.quote(str(storage))}"
    if storage.absolute() == Path("studies").absolute():
        return ""
    inside = storage.absolute().is_relative_to(Path.cwd())
    return f" --storage {shlex.quote(relpath(storage) if inside else str(storage.absolute()))}"


def program() -> str:
    """How this program was called."""
    if which("tuner"):
        return "tuner"
    called = Path(sys.argv[0])
    return "python -m tuner" if called.name == "__main__.py" else relpath(called)
