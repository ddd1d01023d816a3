"""Which nodes the cluster has, journalled as they come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf

import ray

from tuner.cluster.head import Head
from tuner.journal.events import Event, NodeJoined, NodeLeft, TrialPlaced
from tuner.timing import now

EVERY_SECONDS = 1.0
"""How often is looked at most: each time a request of milliseconds to Ray's GCS."""
HEAD = "node:__internal_head__"
"""A resource that Ray gives to the head."""


class Nodes:
    """The nodes of the cluster that was joined, as far as they were seen.

    Args:
        note: what journals an event.
        head: of the cluster; where it has gone, nothing is asked, as no answer comes.
    """

    def __init__(self, note: Callable[[Event], None], head: Head) -> None:
        self._note = note
        self._head = head
        self._seen: set[str] = set()
        self._looked = -inf

    def look(self) -> None:
        """Journal what has come and gone; those that are there at the first look have come.

        To be called often; it looks where the last look is long enough ago.
        """
        if time.monotonic() - self._looked >= EVERY_SECONDS and not self._head.gone():
            self._look()

    def placed(self, number: int, nodes: Collection[str]) -> None:
        """A trial begins on these nodes, the newest of which no look may have seen yet."""
        if not self._seen.issuperset(nodes):
            self._look()
        self._note(TrialPlaced(time=now(), number=number, nodes=tuple(nodes)))

    def _look(self) -> None:
        table = ray.nodes()  # type: ignore[no-untyped-call]
        alive = {node["NodeID"]: node["Resources"] for node in table if node["Alive"]}
        for node in self._seen - alive.keys():
            self._note(NodeLeft(time=now(), node=node))
        for node in alive.keys() - self._seen:
            held = alive[node]
            self._note(
                NodeJoined(
                    time=now(),
                    node=node,
                    cpus=held.get("CPU", 0.0),
                    gpus=held.get("GPU", 0.0),
                    head=HEAD in held,
                )
            )
        self._seen = set(alive)
        self._looked = time.monotonic()
