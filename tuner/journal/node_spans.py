"""The nodes of a study's cluster, folded from the journal's events."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass
class NodeSpans:
    """The time that each node was in the cluster, as the study's drivers saw it.

    Attributes:
        present: the nodes in the cluster now, by Ray's id.
        left: those that left.
    """

    present: dict[str, NodeSpan] = field(default_factory=dict)
    left: list[NodeSpan] = field(default_factory=list)

    def joined(self, event: NodeJoined) -> None:
        """Record that the cluster has a node."""
        self.present[event.node] = NodeSpan(
            node=event.node,
            cpus=event.cpus,
            gpus=event.gpus,
            head=event.head,
            joined=event.time,
            left=event.time,
        )

    def ended(self, node: str, time: float) -> None:
        """Record that a node left, or that nobody watches it any more."""
        self.left.append(self.present.pop(node).model_copy(update={"left": time}))

    def until(self, time: float) -> tuple[NodeSpan, ...]:
        """Return all spans up to a time (Unix, seconds), in the order in which nodes joined."""
        there = [span.model_copy(update={"left": time}) for span in self.present.values()]
        return tuple(sorted((*self.left, *there), key=lambda span: span.joined))
