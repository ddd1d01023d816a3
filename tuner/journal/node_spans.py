"""The nodes of a study's cluster, folded from the journal's events."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pydantic import Field

from tuner.study.scores import Record

if TYPE_CHECKING:
    from tuner.journal.events import NodeJoined


class NodeSpan(Record):
    """A node of the cluster while a driver saw it. Times are Unix times in seconds."""

    node: str = Field(description="Ray's id")
    cpus: float
    gpus: float
    head: bool = Field(description="True for the cluster's head")
    joined: float
    left: float = Field(description="time when it left; of this record if it is still there")


class NodeSpans:
    """The time that each node was in the cluster, as the study's drivers saw it."""

    def __init__(self) -> None:
        self._present: dict[str, NodeSpan] = {}
        self._left: list[NodeSpan] = []

    @property
    def present(self) -> Collection[str]:
        """Ids of the nodes in the cluster now."""
        return self._present.keys()

    def joined(self, event: NodeJoined) -> None:
        """Record that the cluster has a node."""
        self._present[event.node] = NodeSpan(
            node=event.node,
            cpus=event.cpus,
            gpus=event.gpus,
            head=event.head,
            joined=event.time,
            left=event.time,
        )

    def ended(self, node: str, time: float) -> None:
        """Record that a node left, or that nobody watches it any more."""
        self._left.append(self._present.pop(node).model_copy(update={"left": time}))

    def until(self, time: float) -> tuple[NodeSpan, ...]:
        """Return all spans up to a time (Unix, seconds), in the order in which nodes joined."""
        there = [span.model_copy(update={"left": time}) for span in self._present.values()]
        return tuple(sorted((*self._left, *there), key=lambda span: span.joined))
