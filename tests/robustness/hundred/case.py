"""A case: what is wrong, the command that meets it, and how it has to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Make = Callable[[Path], None]
Streams = Literal["", "no stdin", "no stdout", "none", "full", "unread", "endless stdin"]


def nothing(place: Path) -> None:
    """All is well with the files."""


@dataclass(frozen=True)
class Case:
    """One wrong input or surrounding.

    Attributes:
        name: of the case, once in the table.
        arguments: of `tuner`; `{place}` stands for the folder that it runs in, which has a sound
            study, `studies/small`, and a sound file, `study.yaml`.
        code: how it has to end: 0 done, 1 the study failed, 2 the input is wrong.
        told: a regular expression that what it prints has to match.
        make: makes what is wrong.
        environment: of the process; None takes a variable away.
        streams: what is odd about them.
        before: words of a command that runs it, such as `setpriv`; it is then a process of its own.
        alone: it is a process of its own, since what is odd acts while Python starts.
        keeps: what it may leave in its folder, as patterns of paths.
        inside: the folder below `{place}` that it runs in.
    """

    name: str
    arguments: tuple[str, ...]
    code: int = 2
    told: str = ""
    make: Make = nothing
    environment: Mapping[str, str | None] = field(default_factory=dict)
    streams: Streams = ""
    before: tuple[str, ...] = ()
    alone: bool = False
    keeps: tuple[str, ...] = ()
    inside: str = "."


REPORT = (
    "studies/small/leaderboard.csv",
    "studies/small/report.*",
    "studies/small/figures*",
    "studies/mlflow.db*",
)
"""The files that a report leaves."""
