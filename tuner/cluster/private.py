"""Every part of Ray that we use although it is not public: its modules, names and messages.

pyproject.toml pins Ray to one minor version for them, and the tests of it in `tests/cluster`
fail if another version has moved one. Importing Ray takes seconds, so the functions do it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig as AutoscalingConfig
    from ray.job_config import JobConfig
    from ray.tune.experiment import Trial

# ---- the node of this process; Ray's public API gives only its id and addresses ----


def _node() -> Node:
    from ray._private import worker

    assert worker._global_node is not None, "a cluster was joined"
    return worker._global_node


def logs_folder() -> Path:
    """Return the folder of this node's logs in the joined cluster."""
    return Path(_node().get_logs_dir_path())  # type: ignore[no-untyped-call]


def raylet_socket() -> str:
    """Return the path of the raylet's socket, which closes when the raylet ends."""
    return str(_node().raylet_socket_name)


def session_folder() -> str | None:
    """Return the folder of Ray's session; None if this process has not joined Ray.

    It imports nothing, because `tuner.doctor` sends it by value to nodes without this package.
    """
    worker: Any = sys.modules.get("ray._private.worker")
    node = worker._global_node if worker else None
    return node.get_session_dir_path() if node else None


def dashboard() -> str:
    """Return host and port of the cluster's dashboard, empty without one.

    `ray.init` returns it too, but only to its caller.
    """
    from ray._private.worker import get_dashboard_url

    return get_dashboard_url() or ""  # type: ignore[no-untyped-call]


# ---- joining a cluster; `ray.init` does all of this, but explains no failure ----


def head_address(address: str) -> str | None:
    """Return host and port of the head that `ray.init(address=...)` would join, None if none."""
    from ray._private import services

    return services.canonicalize_bootstrap_address(address)


def node_ids_here() -> set[str]:
    """Return the ids of the Ray nodes that run on this machine, of whatever cluster."""
    from ray._private import services

    return set(services.find_node_ids())  # type: ignore[no-untyped-call]


def job_with_own_path() -> JobConfig:
    """Return a job whose workers use Python's default import path.

    By default, they import from the driver's current folder first, and a user's `torch.py` there
    would end each of them. No option turns that off.
    """
    from ray.job_config import JobConfig

    class OwnPath(JobConfig):
        def _serialize(self) -> str:
            self._py_driver_sys_path = []
            return super()._serialize()

    return OwnPath()


TOKEN_REFUSED = ("oken", "UNAUTHENTICATED", "nauthenticated")
"""Parts of the errors of `ray.init` if the cluster does not accept the token."""
VERSIONS_DIFFER = "ersion mismatch"
"""Part of the error of `ray.init` if the cluster has another Ray or Python."""
NOT_A_NODE = "No node info found"
"""Part of the error of `ray.init` if no node of the cluster runs on this machine."""
TIMED_OUT = ("imed out", "imeout", "Deadline Exceeded")
"""Parts of the errors of `ray.init` if the cluster does not answer in time."""

# ---- a Ray of our own; `ray.init` and `ray start` open more ports than a study needs ----


def start_head(**parameters: Any) -> Node:
    """Start a head node as `ray.init` does, without the parts that `parameters` turn off.

    The caller ends its processes itself; Ray does not do it when this one exits.
    """
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    return Node(
        RayParams(**parameters),
        head=True,
        shutdown_at_exit=False,
        spawn_reaper=True,
        ray_init_cluster=True,
    )


NEEDED = ("gcs_server", "raylet")
"""Names of the processes without which a head does not start."""


def system_memory() -> int:
    """Return this machine's bytes of memory as Ray sees them: at most the container's limit."""
    from ray._common.utils import get_system_memory

    return int(get_system_memory())


def object_store_share(memory: int) -> int:
    """Return the bytes of `memory` that Ray gives to its object store by default."""
    from ray._private.ray_constants import OBJECT_STORE_MINIMUM_MEMORY_BYTES
    from ray._private.utils import resolve_object_store_memory

    return max(OBJECT_STORE_MINIMUM_MEMORY_BYTES, resolve_object_store_memory(memory))


def read_environment_again() -> None:
    """Make Ray read its variables and its token again; it has read them when it was imported."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def on_loopback() -> Iterator[None]:
    """Make Ray accept 127.0.0.1 as this machine's address; by default it looks up another."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


# ---- the store of the head, which has no public client ----


def store(address: str) -> GcsClient:
    """Return a client of the store of the head at an address, without joining the cluster."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    return GcsClient(address=address)


def put(name: str, value: str) -> None:
    """Keep a value in the joined cluster's store."""
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(name, value)


def get(name: str) -> bytes | None:
    """Return a value of the joined cluster's store, None if it holds no value by that name."""
    from ray.experimental.internal_kv import _internal_kv_get

    value: bytes | None = _internal_kv_get(name)
    return value


def delete(name: str) -> None:
    """Delete a value from the joined cluster's store."""
    from ray.experimental.internal_kv import _internal_kv_del

    _internal_kv_del(name)


ASK_STORE = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_exists(b"", None)
"""
"""Python code that fails if the store at the address in its argument refuses this process."""

# ---- the autoscaler's limits, which Ray reports to nobody ----

AUTOSCALER_LOG = "ray.autoscaler"
"""The name of the autoscaler's logger."""
MONITORS = ("autoscaler/v2/monitor.py", "autoscaler/_private/monitor.py")
"""The scripts of the autoscaler's process, as they appear on its command line."""
MONITOR_LOGS, MONITOR_CONFIG = "--logs-dir=", "--autoscaling-config="
"""Options on that command line: the session's folder of logs, and the configuration's file."""
HEAD_RESOURCE = "node:__internal_head__"
"""The resource by which `ray.nodes()` marks the head."""


def limits_in_file(file: str) -> AutoscalingConfig:
    """Read a cluster's configuration file as the autoscaler does."""
    from ray.autoscaler.v2.instance_manager.config import FileConfigReader

    return FileConfigReader(file).get_cached_autoscaling_config()


def limits_in_kuberay(resource: dict[str, Any]) -> AutoscalingConfig:
    """Read a RayCluster of Kubernetes as the autoscaler does."""
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    return AutoscalingConfig(_derive_autoscaling_config_from_ray_cr(resource), True)


def kubernetes(namespace: str, path: str) -> dict[str, Any]:
    """Ask Kubernetes for a resource with the access of this pod.

    Raises:
        OSError: no answer came, or this pod may not read it.
    """
    from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

    return dict(KubernetesHttpApiClient(namespace).get(path))


# ---- Ray Tune's loop, of which schedulers and callbacks see only a part ----


def give_trials_no_variables() -> None:
    """Keep Tune from giving trials environment variables of the driver."""
    from ray.tune.execution import class_cache

    for variables in (class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS):
        variables.clear()


def controller_of(given: Any) -> Any:
    """Return the `TuneController` in the wrapper that schedulers get, which refuses most access."""
    return given._tune_controller


def has_process(controller: Any, trial: Trial) -> bool:
    """Return whether a process has been started for a trial."""
    actor = controller._trial_to_actor.get(trial)
    return actor is not None and bool(controller._actor_manager.is_actor_started(actor))


def call(controller: Any, trial: Trial, method: str, then: Callable[[Trial, Any], None]) -> None:
    """Call a method of a trial's actor; `then` gets the trial and the result or exception."""
    controller._schedule_trial_task(trial, method, on_result=then, on_error=then)


# ---- why a worker ended; Ray says it only in the text of its errors and in its logs ----

LOW_ON_MEMORY = "low on memory"
"""Part of the error of a task that was killed because its host's memory ran out."""
MEMORY_USED = re.compile(r"([\d.]+)GB used / ([\d.]+)GB limit")
"""The memory used and its limit, in that error."""
EXIT_CODE = re.compile(r"Worker exits with an exit code (.+?)\.?\s*$", re.MULTILINE)
"""The exit code, in the error of an actor whose process has ended by itself."""
PROCESS_ID = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)
"""The id of the actor's process, in that error."""
STANDARD_ERROR = "worker-*-{process}.err"
"""The file with a worker's standard error in the folder of logs, by the id of its process."""

# ---- the job API, beyond what its reference says ----

ENTRY = "Running entrypoint for job "
"""Start of the line of Ray's after which a job's own log begins."""
NO_AGENT = "No available agent"
"""Part of the answer of a head that cannot run jobs yet."""
CONTENT_QUOTED, QUOTED_BYTES = "Package data", 15
"""Part of the head's line about a file that it could not store, and the file's bytes it quotes."""
PACKAGE_PREFIX = "_ray_pkg_"
"""Prefix of the name of a job's package."""
PACKAGE_LIMIT = int(os.environ.get("RAY_max_grpc_message_size", 512 * 2**20))  # noqa: SIM112
"""Size in bytes from which the head's store refuses a package."""
PACKAGES, FOLLOW = "/api/packages/gcs/{name}", "/api/jobs/{id}/logs/tail"
"""Paths of the head's store of packages, and of a web socket with a job's log."""
STOP_SIGNAL, STOP_WAIT = "RAY_JOB_STOP_SIGNAL", "RAY_JOB_STOP_WAIT_TIME_S"
"""Variables of a job: the signal that stops it, and the seconds until it is killed."""
