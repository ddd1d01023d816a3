"""The nodes of the cluster, journalled as they join and leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf

import ray

from tuner.cluster.head import RayMonitor
from tuner.cluster.private import HEAD_RESOURCE
from tuner.journal.events import Event, NodeJoined, NodeLeft, TrialPlaced
from tuner.timing import now

EVERY_SECONDS = 1.0
"""Shortest time between two looks; each is a request of milliseconds to Ray's GCS."""


class Nodes:
    """The nodes that have been seen in the cluster.

    Args:
        note: journals an event.
        head: the cluster's head. Once it has ended, Ray is not asked, since no answer would come.
    """

    def __init__(self, note: Callable[[Event], None], head: RayMonitor) -> None:
        self._note = note
        self._head = head
        self._seen: set[str] = set()
        self._looked = -inf

    def look(self) -> None:
        """Journal the nodes that have joined or left; the first look journals all as joined.

        Callers may call this often: it asks Ray only if the last look is `EVERY_SECONDS` ago.
        """
        if time.monotonic() - self._looked >= EVERY_SECONDS and not self._head.failure():
            self._look()

    def placed(self, number: int, nodes: Collection[str]) -> None:
        """Journal that a trial begins on these nodes; look again first if one of them is new."""
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
                    head=HEAD_RESOURCE in held,
                )
            )
        self._seen = set(alive)
        self._looked = time.monotonic()
