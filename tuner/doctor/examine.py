"""The nodes of a cluster looked at: a probe on each, whatever its resources."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tuner.cluster.credentials import Loan
from tuner.cluster.ray import kind_of
from tuner.doctor import node as node_module
from tuner.doctor.findings import Node
from tuner.doctor.here import PACKAGES, file_name
from tuner.doctor.node import GPU_SECONDS, Probe
from tuner.storage.location import located

ANSWER_SECONDS = 60.0
"""That a node has to start a process and to look around."""
PROBE_SECONDS = 30.0
"""That the storage has for a small file."""
ROUND_TRIPS = 5
"""Questions for the time; the quickest answer tells most."""


def examine_cluster(storage: str | None) -> list[Node]:
    """The nodes of the joined cluster, each by an actor there that takes no CPU.

    Args:
        storage: the folder of the studies, or its URL; None: it is not looked at.
    """
    # By value: another version of us may be there.
    ray.cloudpickle.register_pickle_by_value(node_module)  # type: ignore[no-untyped-call]
    with Loan(located(storage) if storage is not None else None) as loan:
        probed = [_Probed.start(node, storage, loan.runtime_env) for node in _alive()]
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
    """A node, and the actor that looks at it."""

    node: Node
    actor: Any

    @classmethod
    def start(cls, told: dict[str, Any], storage: str | None, env: dict[str, Any]) -> _Probed:
        """Ray's own facts of a node, and a probe on its way there."""
        kind = kind_of(told)
        held = told["Resources"]
        there = NodeAffinitySchedulingStrategy(told["NodeID"], soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": there, "runtime_env": env}
        actor = ray.remote(Probe).options(**options).remote(storage)
        named = "head" if kind.head else kind.type or told["NodeManagerAddress"]
        label = f"{named} {told['NodeID'][:8]}"
        node = Node(label, kind.head, kind.gpus, held.get("object_store_memory", 0.0))
        return cls(node, actor)

    def note(self, **found: Any) -> None:
        """Write down what was found."""
        self.node = replace(self.node, **found)


def _alive() -> list[dict[str, Any]]:
    """Nodes, the head first."""
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
    """How far a clock is ahead, and by how much that may be wrong: half the quickest round trip."""
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
    """Each writes a file, each reads all of them, each removes its own; then the folders."""
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
    """What came within so many seconds, in order; or None, and why it did not."""
    ray.wait(asked, num_returns=len(asked), timeout=patience)
    for reference in asked:
        try:
            yield ray.get(reference, timeout=0), ""
        except GetTimeoutError:
            yield None, f"no answer within {patience:.0f} s"
        except RayError as error:
            yield None, str(error).strip().splitlines()[-1].strip()[:200]
