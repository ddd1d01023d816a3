"""The Ray cluster that a study runs on: joining one, or starting one on this machine."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any, NamedTuple, TypeVar

import ray

from tuner.cluster import environment
from tuner.cluster.address import FORM, SUBMIT, check_answers, configured_address
from tuner.cluster.autoscaler import declared
from tuner.cluster.capacity import Capacity, NodeType
from tuner.cluster.credentials import SharedCredentials, make_private
from tuner.cluster.head import watched
from tuner.cluster.joining import MAX_ERROR_LENGTH, Known, joined
from tuner.cluster.local_head import in_a_line
from tuner.cluster.local_ray import check_folder, local_ray
from tuner.cluster.machine import cpus
from tuner.cluster.private import HEAD_RESOURCE, head_address, node_ids_here
from tuner.errors import UserError
from tuner.progress import Progress
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal and our view replace Ray's
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we have our own handler
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}

T = TypeVar("T")

GROUP = "ray.io/node-group"
"""Label of a node that names its type."""
LOGS_OF_HEAD = "/tmp/ray/session_latest/logs on the head, unless it was started with another folder"


@contextmanager
def cluster(
    progress: Progress, study: StudyConfig | None, meanwhile: Callable[[], T]
) -> Iterator[T]:
    """Join the cluster that RAY_ADDRESS names (as in a Ray job), or start one on this machine.

    Args:
        progress: shows the cluster's resources.
        study: the study that runs there; its workers get this process's access to its storage.
        meanwhile: called on a thread while Ray starts, which takes seconds, mostly of waiting; the
            block gets its return value. Its exceptions are raised.

    Raises:
        UserError: Ray does not start here, or the cluster does not answer or refuses this process.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    address = configured_address()
    if address is None:
        check_folder()
        at, starting, stopping = "on this machine", "starting Ray", "stopping Ray"
    else:
        at, starting, stopping = f"at {_answering(address)}", "joining Ray", "leaving Ray"
    if study is not None and address is not None and (note := make_private()):
        progress.tell(note)
    # Workers on this machine inherit the environment of their Ray.
    shared = SharedCredentials(study.storage if study and address is not None else None)
    variables = environment.variables(study.resources) if study else {}
    runtime_env = shared.runtime_env
    if address is not None:
        there = variables | runtime_env.get("env_vars", {})
        runtime_env = {**runtime_env, "env_vars": there}
    ready = Event()

    def prepared() -> T:
        found = meanwhile()
        with progress.task(f"{starting} {at}"):
            ready.wait()
        return found

    leaving = ExitStack()
    try:
        with ThreadPoolExecutor(1, "meanwhile") as pool:
            preparing = pool.submit(prepared)
            try:
                if address is None:
                    number = cpus().number
                    ahead = environment.loading_ahead(study, number) if study else {}
                    here = leaving.enter_context(local_ray(number, variables | ahead))
                    head = Known(here.address, True, str(here.logs), here.keep_logs)
                else:
                    head = Known(address, False, LOGS_OF_HEAD, lambda: None)
                leaving.enter_context(joined(head, runtime_env))
            finally:
                ready.set()
        found = preparing.result()
        with watched() as joined_head:
            held = joined_head.outlives(ray.cluster_resources)
        progress.tell(f"Ray {at}: {held.get('CPU', 0):g} CPUs, {held.get('GPU', 0):g} GPUs")
        with shared:
            yield found
    finally:
        with progress.task(stopping):
            leaving.close()


def _answering(address: str) -> str:
    """Return the address of the cluster's head once it has answered.

    Raises:
        UserError: no head answers, or this machine is not one of the cluster's nodes.
    """
    try:
        head = head_address(address)
    except Exception as error:
        raise UserError(
            f"RAY_ADDRESS={address}: {in_a_line(error)[:MAX_ERROR_LENGTH]}", FORM
        ) from error
    if head is None:
        raise UserError("RAY_ADDRESS=auto: no Ray was started on this machine by `ray start`", FORM)
    check_answers(head)
    if not node_ids_here():
        raise UserError(
            f"this machine is not a node of the cluster at {head}, but drivers run only on nodes",
            SUBMIT,
        )
    return head


def capacity() -> Capacity:
    """Return the joined cluster's nodes by type, and those it can grow to."""
    autoscaler = declared()
    growing = {type_.name: type_ for type_ in autoscaler.types} if autoscaler else {}
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    alike = Counter(kind_of(node) for node in nodes if node["Alive"])
    types = []
    for kind, alive in sorted(alike.items()):
        found = None if kind.head else growing.get(kind.type)
        if found is None or found.cpus is None:  # started by hand, or resources only known now
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
    """Return how many trials run at once: as many as the grown cluster holds, capped by the study.

    Raises:
        UserError: not even one trial fits.
    """
    return capacity().trials_at_once(resources)


class Kind(NamedTuple):
    """A node's kind: whether it is the head, its type's name, its CPUs and GPUs for trials."""

    head: bool
    type: str
    cpus: float
    gpus: float


def kind_of(node: dict[str, Any]) -> Kind:
    """Return the kind of a node from Ray's description of it."""
    held, name = node["Resources"], node["Labels"].get(GROUP, "")
    head = HEAD_RESOURCE in held
    return Kind(head, name or "head" * head, held.get("CPU", 0.0), held.get("GPU", 0.0))
