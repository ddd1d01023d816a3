"""What was looked at, and what was found: the words in which checks are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tuner.doctor.node import Facts, Space

Level = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: what was checked, how it went, what was found, what to do."""

    check: str
    level: Level
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Node:
    """A node, as it was found.

    Attributes:
        name: what people call it: `head 1a2b3c4d`; `this machine`.
        head: whether drivers run there.
        gpus: that it claims to have for trials.
        object_store: bytes of memory that Ray shares there; 0 where Ray is not at work.
        facts: None where it did not answer.
        silence: why it did not.
        skew: how far its clock is ahead of the head's, seconds; None: not measured.
        skew_error: by how much that may be wrong.
        wrote: what went wrong with its file in the storage; None: the storage was not looked at.
        unread: what went wrong with files of others there, by their names.
        storage: the file system of the storage, where it has one.
    """

    name: str
    head: bool = True
    gpus: float = 0.0
    object_store: float = 0.0
    facts: Facts | None = None
    silence: str = ""
    skew: float | None = None
    skew_error: float = 0.0
    wrote: str | None = None
    unread: dict[str, str] = field(default_factory=dict)
    storage: Space | None = None


def answering(nodes: Iterable[Node]) -> list[tuple[Node, Facts]]:
    """Nodes with their facts."""
    return [(node, node.facts) for node in nodes if node.facts is not None]


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level among some."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "pass"


def listed(names: Iterable[str]) -> str:
    """Names in a row, the first few of many."""
    known = list(names)
    more = f" and {len(known) - 4} more" if len(known) > 5 else ""
    return ", ".join(known if not more else known[:4]) + more
