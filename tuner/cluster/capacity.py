"""A cluster's capacity: how many whole trials fit on the nodes it has or can grow to.

This module does not call Ray; `tuner.cluster.ray` reads the nodes from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import NamedTuple

from tuner.errors import UserError
from tuner.study.parts import ResourcesConfig

TINY = 1e-6
"""Tolerance for rounding; Ray counts resources in ten-thousandths."""


@dataclass(frozen=True)
class NodeType:
    """A group of nodes with equal resources.

    Attributes:
        name: the autoscaler's name of the type; otherwise `head`, or "" for other nodes.
        cpus: CPUs of one node.
        gpus: GPUs of one node.
        alive: how many nodes there are now.
        most: how many nodes there can be.
        grows: True if the autoscaler starts and ends these nodes.
        priority: of two suitable types, the autoscaler starts the one with the higher priority.
    """

    name: str
    cpus: float
    gpus: float
    alive: int
    most: int
    grows: bool = False
    priority: int = 0

    def in_words(self) -> str:
        """Return the type's name and size, for instance `gpu-spot (8 CPU, 1 GPU)`."""
        return f"{self.name or 'a node'} ({self.cpus:g} CPU, {self.gpus:g} GPU)"


class Used(NamedTuple):
    """The nodes of one type on which trials run.

    Attributes:
        type: their type.
        nodes: how many nodes.
        places: how many trial workers fit on each node.
    """

    type: NodeType
    nodes: int
    places: int


@dataclass(frozen=True)
class Capacity:
    """A cluster's nodes, and those it can grow to.

    Attributes:
        types: its node types; the head is a type of its own.
        most_growing: the largest number of autoscaled nodes of all types together.
        idle_seconds: seconds after which the autoscaler ends an idle node; None: never.
    """

    types: tuple[NodeType, ...]
    most_growing: int = 0
    idle_seconds: float | None = None

    def trials_at_once(self, resources: ResourcesConfig) -> int:
        """Return how many trials may run at once: what fits at the maximum, capped by the study.

        Raises:
            UserError: not even one trial fits.
        """
        trials = self.holds(resources)
        if trials == 0:
            raise self._too_small(resources)
        return min(trials, resources.max_concurrent_trials or trials)

    def holds(self, resources: ResourcesConfig) -> int:
        """Return how many trials fit, ignoring `max_concurrent_trials`; 0 if none fits."""
        return self._places(resources) // resources.workers

    def used_by(self, resources: ResourcesConfig, trials: int) -> list[Used]:
        """Return the nodes on which `trials` trials run: existing nodes first, then new ones."""
        return self._fill(resources, trials * resources.workers)

    def _places(self, resources: ResourcesConfig) -> int:
        return sum(used.nodes * used.places for used in self._fill(resources, None))

    def _fill(self, resources: ResourcesConfig, wanted: int | None) -> list[Used]:
        """Return nodes with `wanted` places for workers in all; None: all nodes."""
        places = {type_: places_on(type_, resources) for type_ in self.types}
        left = self.most_growing
        there = [type_ for type_ in self.types if not type_.grows and places[type_]]
        growing = [type_ for type_ in self.types if type_.grows and places[type_]]
        if wanted is None:  # largest types first, for the most trials
            growing.sort(key=lambda type_: -places[type_])
        else:  # in the autoscaler's order: nodes without idle GPUs first
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
        """Return the error for a trial that fits on no node, or not on all nodes together."""
        cpus, gpus = share_of(resources)
        workers = resources.workers
        asks = f"{cpus:g} CPU and {gpus:g} GPU"
        if places := self._places(resources):
            return UserError(
                f"a trial asks for {workers} workers of {asks} each, but the cluster holds at most "
                f"{places} of them",
                f"Lower it: --set resources.workers={places}; or let the cluster grow further.",
            )
        who = f"each of a trial's {workers} workers" if workers > 1 else "a trial"
        possible = [type_ for type_ in self.types if type_.most and type_.cpus]
        if not possible:
            return UserError(
                f"{who} asks for {asks}, but no node of the cluster has CPUs for trials",
                "Start worker nodes, or raise max_workers of the cluster's node types.",
            )
        largest = max(possible, key=lambda type_: (min(type_.gpus, gpus), type_.cpus, type_.gpus))
        held = {"cpus": (cpus, largest.cpus), "gpus": (gpus, largest.gpus)}
        lower = [
            f"--set resources.{kind}_per_trial={has * workers:g}"
            for kind, (asked, has) in held.items()
            if asked > has
        ]
        return UserError(
            f"{who} asks for {asks} on one node, but the largest is {largest.in_words()}",
            f"Lower it: {' '.join(lower)}; or run it on larger machines.",
        )


def share_of(resources: ResourcesConfig) -> tuple[float, float]:
    """Return the CPUs and GPUs of each worker of a trial: an even share of the trial's."""
    workers = resources.workers
    return resources.cpus_per_trial / workers, resources.gpus_per_trial / workers


def places_on(node: NodeType, resources: ResourcesConfig) -> int:
    """Return how many trial workers a node holds. A worker uses no GPU, one, or a share of one."""
    cpus, gpus = share_of(resources)
    places = floor(node.cpus / cpus + TINY)
    if gpus > 0:
        places = min(places, floor(node.gpus + TINY) * floor(1 / gpus + TINY))
    return places


def _unused(node: NodeType, resources: ResourcesConfig) -> tuple[float, float]:
    """Return the GPUs and CPUs of a node that trials leave idle."""
    cpus, gpus = share_of(resources)
    places = places_on(node, resources)
    return node.gpus - places * gpus, node.cpus - places * cpus
