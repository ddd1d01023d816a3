"""How many trials a cluster holds: whole trials, packed into the nodes that it has or can grow to.

Pure: what a cluster has is read from Ray in `tuner.cluster.ray`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import NamedTuple

from tuner.errors import UserError
from tuner.study.parts import ResourcesConfig

TINY = 1e-6
"""Ray counts resources in ten-thousandths: less than that is rounding."""


@dataclass(frozen=True)
class NodeType:
    """Nodes alike.

    Attributes:
        name: as the cluster's autoscaler calls it; else `head`, or "" of another node.
        cpus: of one node.
        gpus: of one node.
        alive: how many there are now.
        most: how many there can be.
        grows: whether the autoscaler starts and ends them.
        priority: the higher of two that would do is started first.
    """

    name: str
    cpus: float
    gpus: float
    alive: int
    most: int
    grows: bool = False
    priority: int = 0

    def in_words(self) -> str:
        """For instance `gpu-spot (8 CPU, 1 GPU)`."""
        return f"{self.name or 'a node'} ({self.cpus:g} CPU, {self.gpus:g} GPU)"


class Used(NamedTuple):
    """Nodes of a type that trials run on.

    Attributes:
        type: of them.
        nodes: how many.
        places: for workers of trials, on each.
    """

    type: NodeType
    nodes: int
    places: int


@dataclass(frozen=True)
class Capacity:
    """What a cluster has, and can grow to.

    Attributes:
        types: of its nodes; where both exist, the head is a type of its own.
        most_growing: how many nodes that the autoscaler starts there can be in all.
        idle_seconds: after which the autoscaler ends a node that does nothing; None: never.
    """

    types: tuple[NodeType, ...]
    most_growing: int = 0
    idle_seconds: float | None = None

    def trials_at_once(self, resources: ResourcesConfig) -> int:
        """How many trials fit side by side at the cluster's maximum.

        Raises:
            UserError: not even one does.
        """
        trials = self.holds(resources)
        if trials == 0:
            raise self._too_small(resources)
        return min(trials, resources.max_concurrent_trials or trials)

    def holds(self, resources: ResourcesConfig) -> int:
        """The same, whatever the study declares; 0 where none fits."""
        return self._places(resources) // resources.workers

    def used_by(self, resources: ResourcesConfig, trials: int) -> list[Used]:
        """The nodes on which so many trials run: those that are there first, then as it grows."""
        return self._fill(resources, trials * resources.workers)

    def _places(self, resources: ResourcesConfig) -> int:
        return sum(used.nodes * used.places for used in self._fill(resources, None))

    def _fill(self, resources: ResourcesConfig, wanted: int | None) -> list[Used]:
        """Nodes until there are so many places for workers; None: all."""
        places = {type_: places_on(type_, resources) for type_ in self.types}
        left = self.most_growing
        there = [type_ for type_ in self.types if not type_.grows and places[type_]]
        growing = [type_ for type_ in self.types if type_.grows and places[type_]]
        if wanted is None:  # the most trials
            growing.sort(key=lambda type_: -places[type_])
        else:  # as the autoscaler chooses: nodes without idle GPUs first
            growing.sort(key=lambda t: (-t.priority, _unused(t, resources), -t.alive))
        filled = []
        for type_ in (*there, *growing):
            nodes = min(type_.most, left) if type_.grows else type_.most
            if wanted is not None:
                nodes = min(nodes, -(-wanted // places[type_]))
                wanted -= min(wanted, nodes * places[type_])
            left -= nodes if type_.grows else 0
            if nodes:
                filled.append(Used(type_, nodes, places[type_]))
        return filled

    def _too_small(self, resources: ResourcesConfig) -> UserError:
        """What is said of a trial that no node could ever hold, or all of them together."""
        cpus, gpus = share_of(resources)
        workers = resources.workers
        asks = f"{cpus:g} CPU and {gpus:g} GPU"
        if places := self._places(resources):
            return UserError(
                f"a trial asks for {workers} workers of {asks} each, and the cluster holds "
                f"{places} of them at its maximum",
                f"Lower it: --set resources.workers={places}; or let the cluster grow further.",
            )
        who = f"each of a trial's {workers} workers" if workers > 1 else "a trial"
        possible = [type_ for type_ in self.types if type_.most and type_.cpus]
        if not possible:
            return UserError(
                f"{who} asks for {asks}, and no node of the cluster has a CPU for trials",
                "Start workers, or let the cluster grow: max_workers of its node types.",
            )
        largest = max(possible, key=lambda type_: (min(type_.gpus, gpus), type_.cpus, type_.gpus))
        held = {"cpus": (cpus, largest.cpus), "gpus": (gpus, largest.gpus)}
        lower = [
            f"--set resources.{kind}_per_trial={has * workers:g}"
            for kind, (asked, has) in held.items()
            if asked > has
        ]
        return UserError(
            f"{who} asks for {asks} on one node, and the largest is {largest.in_words()}",
            f"Lower it: {' '.join(lower)}; or run it on larger machines.",
        )


def share_of(resources: ResourcesConfig) -> tuple[float, float]:
    """CPUs and GPUs that each worker of a trial is given: an even share of the trial's."""
    workers = resources.workers
    return resources.cpus_per_trial / workers, resources.gpus_per_trial / workers


def places_on(node: NodeType, resources: ResourcesConfig) -> int:
    """How many workers of trials a node holds. A worker takes no GPU, one, or a share of one."""
    cpus, gpus = share_of(resources)
    places = floor(node.cpus / cpus + TINY)
    if gpus > 0:
        places = min(places, floor(node.gpus + TINY) * floor(1 / gpus + TINY))
    return places


def _unused(node: NodeType, resources: ResourcesConfig) -> tuple[float, float]:
    """GPUs and CPUs of a node that trials leave idle."""
    cpus, gpus = share_of(resources)
    places = places_on(node, resources)
    return node.gpus - places * gpus, node.cpus - places * cpus
