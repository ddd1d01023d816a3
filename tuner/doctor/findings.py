"""The types that checks use: nodes with their facts, and findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tuner.doctor.node import DiskSpace, NodeFacts

Level = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report: the check, its outcome, the observation, and the remedy."""

    check: str
    level: Level
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Node:
    """A node and the facts found about it.

    Attributes:
        name: a readable name, such as `head 1a2b3c4d` or `this machine`.
        head: whether drivers run there.
        gpus: number of GPUs that it claims to have for trials.
        object_store: size in bytes of Ray's object store there; 0 where Ray does not run.
        facts: the probe's facts; None where the node did not answer.
        silence: the reason why it did not answer.
        skew: seconds by which its clock is ahead of the head's; None if not measured.
        skew_error: the error of `skew`, in seconds.
        wrote: the error of writing its file to the storage, "" if none; None if not tried.
        unread: errors of reading other nodes' files in the storage, by node name.
        storage: the file system of the storage, if it has one.
    """

    name: str
    head: bool = True
    gpus: float = 0.0
    object_store: float = 0.0
    facts: NodeFacts | None = None
    silence: str = ""
    skew: float | None = None
    skew_error: float = 0.0
    wrote: str | None = None
    unread: dict[str, str] = field(default_factory=dict)
    storage: DiskSpace | None = None


def answering(nodes: Iterable[Node]) -> list[tuple[Node, NodeFacts]]:
    """Return the nodes that answered, with their facts."""
    return [(node, node.facts) for node in nodes if node.facts is not None]


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level among findings."""
    levels = {finding.level for finding in findings}
    return "fail" if "fail" in levels else "warn" if "warn" in levels else "pass"


def listed(names: Iterable[str]) -> str:
    """Join names by commas; name only the first four of more than five."""
    known = list(names)
    more = f" and {len(known) - 4} more" if len(known) > 5 else ""
    return ", ".join(known if not more else known[:4]) + more
