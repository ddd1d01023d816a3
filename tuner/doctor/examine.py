"""Examination of a cluster's nodes by a probe on each node, whatever its resources."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.cluster import private
from tuner.cluster.credentials import SharedCredentials
from tuner.cluster.ray import kind_of
from tuner.doctor import node as node_module
from tuner.doctor.findings import Node
from tuner.doctor.here import PACKAGES, file_name
from tuner.doctor.node import GPU_SECONDS, Probe
from tuner.storage.location import located

ANSWER_SECONDS = 60.0
"""Seconds that a node has to start a probe and to answer."""
PROBE_SECONDS = 30.0
"""Seconds that a probe has to write or read small files in the storage."""
ROUND_TRIPS = 5
"""Number of requests for a node's time; the fastest answer is the most precise."""


def examine_cluster(storage: str | None) -> list[Node]:
    """Examine each node of the joined cluster with an actor there that takes no CPU.

    Args:
        storage: the folder of the studies, or its URL; None to skip the storage.
    """
    # By value, since a node may have another version of this package.
    for module in (node_module, private):
        ray.cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    with SharedCredentials(located(storage) if storage is not None else None) as shared:
        probed = [_Probed.start(node, storage, shared.runtime_env) for node in _alive()]
        try:
            _look(probed)
            if storage is not None:
                _try_storage([known for known in probed if known.node.facts is not None])
            return [known.node for known in probed]
        finally:
            for known in probed:
                ray.kill(known.actor)


@dataclass
class _Probed:
    """A node, and the actor that examines it."""

    node: Node
    actor: Any

    @classmethod
    def start(cls, raw: dict[str, Any], storage: str | None, env: dict[str, Any]) -> _Probed:
        """Read Ray's facts about a node, and start a probe there."""
        kind = kind_of(raw)
        held = raw["Resources"]
        there = NodeAffinitySchedulingStrategy(raw["NodeID"], soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": there, "runtime_env": env}
        actor = ray.remote(Probe).options(**options).remote(storage)
        named = "head" if kind.head else kind.type or raw["NodeManagerAddress"]
        label = f"{named} {raw['NodeID'][:8]}"
        node = Node(label, kind.head, kind.gpus, held.get("object_store_memory", 0.0))
        return cls(node, actor)

    def note(self, **found: Any) -> None:
        """Update the node with new facts."""
        self.node = replace(self.node, **found)


def _alive() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the living nodes, the head first."""
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return sorted(nodes, key=lambda node: (not kind_of(node).head, node["NodeID"]))


def _look(probed: Sequence[_Probed]) -> None:
    asked = [p.actor.facts.remote(PACKAGES, p.node.gpus > 0) for p in probed]
    patience = ANSWER_SECONDS + (GPU_SECONDS if any(p.node.gpus for p in probed) else 0)
    for known, (facts, silence) in zip(probed, _answers(asked, patience), strict=True):
        known.note(facts=facts, silence=silence)
        if facts is not None:
            with suppress(RayError):
                skew, error = _skew(known.actor)
                known.note(skew=skew, skew_error=error)


def _skew(actor: Any) -> tuple[float, float]:
    """Return how far a clock is ahead, and the error of that value: half the fastest round trip."""
    measured = []
    for _ in range(ROUND_TRIPS):
        asked = time.time()
        there = ray.get(actor.now.remote(), timeout=PROBE_SECONDS)
        answered = time.time()
        half = (answered - asked) / 2
        measured.append((half, there - asked - half))
    error, skew = min(measured)
    return skew, error


def _try_storage(probed: Sequence[_Probed]) -> None:
    """Let each probe write a file, read all files and remove its own file and folders."""
    names = {file_name(): known for known in probed}
    try:
        written = [known.actor.write.remote(name) for name, known in names.items()]
        for known, (wrote, silence) in zip(probed, _answers(written, PROBE_SECONDS), strict=True):
            known.note(wrote=wrote if wrote is not None else silence)
        there = [name for name, known in names.items() if known.node.wrote == ""]
        reading = [known.actor.read.remote(there) for known in probed]
        for known, (unread, silence) in zip(probed, _answers(reading, PROBE_SECONDS), strict=True):
            wrong = dict.fromkeys(there, silence) if unread is None else unread
            of_others = {names[name].node.name: said for name, said in wrong.items()}
            known.note(unread=of_others)
    finally:
        removed = [known.actor.remove.remote(name) for name, known in names.items()]
        ray.wait(removed, num_returns=len(removed), timeout=PROBE_SECONDS)
        left = [known.actor.leave.remote() for known in probed]
        ray.wait(left, num_returns=len(left), timeout=PROBE_SECONDS)
    spaces = _answers([known.actor.space.remote() for known in probed], PROBE_SECONDS)
    for known, (space, _) in zip(probed, spaces, strict=True):
        known.note(storage=space)


def _answers(asked: list[Any], patience: float) -> Iterator[tuple[Any, str]]:
    """Yield each answer within `patience` seconds and "", or None and why it is missing."""
    ray.wait(asked, num_returns=len(asked), timeout=patience)
    for reference in asked:
        try:
            yield ray.get(reference, timeout=0), ""
        except GetTimeoutError:
            yield None, f"no answer within {patience:.0f} s"
        except RayError as error:
            yield None, str(error).strip().splitlines()[-1].strip()[:200]
