"""The Ray cluster that a study runs on: joined, or started on this machine."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, NamedTuple, TypeVar

import ray

from tuner.errors import UserError
from tuner.interrupts import kept
from tuner.progress import Progress
from tuner.search import environment
from tuner.search.autoscaler import declared
from tuner.search.capacity import Capacity, NodeType
from tuner.search.credentials import Loan
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal and our view replace Ray's
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we have our own
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

T = TypeVar("T")

GROUP = "ray.io/node-group"
"""Label of a node that names its type."""


@contextmanager
def cluster(
    progress: Progress, study: StudyConfig | None, meanwhile: Callable[[], T]
) -> Iterator[T]:
    """Join the cluster that RAY_ADDRESS names (as in a Ray job), or start one on this machine.

    Args:
        progress: is told what is there.
        study: that runs there: its workers are let into its storage as this process is.
        meanwhile: called on a thread while Ray starts, which takes seconds of mostly waiting; its
            value is the block's.

    Raises:
        UserError: the cluster does not answer, or wants a token that it was not given; and what
            `meanwhile` raises.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    address = os.environ.get("RAY_ADDRESS") or "local"
    at = "on this machine" if address == "local" else f"at {address}"
    # On this machine they inherit our environment.
    loan = Loan(study.storage if study and address != "local" else None)
    variables = environment.variables(study.resources) if study else {}
    joined = Event()

    def prepared() -> T:
        found = meanwhile()
        with progress.task(f"{'starting' if address == 'local' else 'joining'} Ray {at}"):
            joined.wait()
        return found

    with ThreadPoolExecutor(1, "meanwhile") as pool:
        preparing = pool.submit(prepared)
        try:
            # On the main thread: Ray puts in a handler of its own for SIGTERM, which exits.
            with kept():
                ray.init(
                    address=address,
                    include_dashboard=False if address == "local" else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={
                        **loan.runtime_env,
                        "env_vars": variables | loan.runtime_env.get("env_vars", {}),
                    },
                )
        except ConnectionError as error:
            raise UserError(
                f"no Ray cluster at {address} takes us in",
                "Start it, or unset RAY_ADDRESS to run on this machine. Where it wants a token: "
                "RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token.",
            ) from error
        finally:
            joined.set()
    try:
        found = preparing.result()
        held = ray.cluster_resources()  # type: ignore[no-untyped-call]
        progress.tell(f"Ray {at}: {held.get('CPU', 0):g} CPUs, {held.get('GPU', 0):g} GPUs")
        with loan:
            yield found
    finally:
        with progress.task("stopping Ray" if address == "local" else "leaving Ray"):
            ray.shutdown()


def capacity() -> Capacity:
    """What the joined cluster has, by type of node, and can grow to."""
    autoscaler = declared()
    growing = {type_.name: type_ for type_ in autoscaler.types} if autoscaler else {}
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alike = Counter(kind_of(node) for node in nodes if node["Alive"])
    types = []
    for kind, alive in sorted(alike.items()):
        found = None if kind.head else growing.get(kind.type)
        if found is None or found.cpus is None:  # started by hand, or shows what it has only now
            types.append(NodeType(kind.type, kind.cpus, kind.gpus, alive, alive))
    for found in growing.values():
        if found.cpus is not None:
            alive = sum(n for kind, n in alike.items() if kind.type == found.name and not kind.head)
            had = (found.name, found.cpus, found.gpus, alive, found.most)
            types.append(NodeType(*had, grows=True, priority=found.priority))
    if autoscaler is None:
        return Capacity(tuple(types))
    return Capacity(tuple(types), autoscaler.most, autoscaler.idle_seconds)


def concurrency(resources: ResourcesConfig) -> int:
    """How many trials run at once: as declared, or as many as the cluster can grow to hold.

    Raises:
        UserError: not even one fits.
    """
    return capacity().trials_at_once(resources)


class Kind(NamedTuple):
    """What a node is: whether the head, the name of its type, its CPUs and GPUs for trials."""

    head: bool
    type: str
    cpus: float
    gpus: float


def kind_of(node: dict[str, Any]) -> Kind:
    """Of a node as Ray describes it."""
    held, name = node["Resources"], node["Labels"].get(GROUP, "")
    head = "node:__internal_head__" in held
    return Kind(head, name or "head" * head, held.get("CPU", 0.0), held.get("GPU", 0.0))
