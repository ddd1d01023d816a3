"""The nodes that a cluster's autoscaler may start, read from Ray's autoscaler configuration.

`ray up` and `ray start --autoscaling-config` pass the configuration to a process on the head;
KubeRay's configuration is the RayCluster itself. (The GCS also has a place for it, but Ray's own
autoscaler, as of 2.60, writes nothing there.) The calling process must be on the head.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig, FileConfigReader

MONITORS = ("autoscaler/v2/monitor.py", "autoscaler/_private/monitor.py")
"""The scripts of Ray's autoscaler, as they appear on its command line."""
OPTION = "--autoscaling-config="
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Growing:
    """A node type that an autoscaler starts.

    Attributes:
        name: the autoscaler's name of the type.
        cpus: CPUs of one node; None if they are known only once a node has started.
        gpus: GPUs of one node.
        most: the largest number of worker nodes of this type.
        priority: Ray's priority of the type.
    """

    name: str
    cpus: float | None
    gpus: float
    most: int
    priority: int


@dataclass(frozen=True)
class Declared:
    """The limits in an autoscaler's configuration.

    Attributes:
        types: node types that it may start; the head's type only if workers may be of it.
        most: the largest number of worker nodes of all types together.
        idle_seconds: seconds after which it ends an idle node; None: never.
    """

    types: tuple[Growing, ...]
    most: int
    idle_seconds: float | None


def declared() -> Declared | None:
    """Return what the joined cluster may grow to; None if it has no autoscaler."""
    # The autoscaler's own log already has these messages.
    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)
    if file := _file_of_monitor(_logs_folder()):
        return of_config(FileConfigReader(file).get_cached_autoscaling_config())
    if os.environ.get("RAY_CLUSTER_NAME") and POD_NAMESPACE.exists():
        return _of_kuberay(
            os.environ["RAY_CLUSTER_NAME"], POD_NAMESPACE.read_text(encoding="utf-8").strip()
        )
    return None


def of_config(config: AutoscalingConfig) -> Declared:
    """Return the limits in a configuration as Ray's autoscaler reads it."""
    head = config.get_head_node_type()
    types = []
    for name, type_ in (config.get_node_type_configs() or {}).items():
        most = type_.max_worker_nodes - (name == head)
        cpus = type_.resources.get("CPU")
        gpus = type_.resources.get("GPU", 0)
        if most:
            types.append(Growing(name, cpus, gpus, most, type_.priority))
    together = sum(type_.most for type_ in types)
    allowed = config.get_max_num_worker_nodes()
    return Declared(
        tuple(types), together if allowed is None else allowed, config.get_idle_timeout_s()
    )


def _of_kuberay(cluster: str, namespace: str) -> Declared | None:
    """Return the limits of this pod's RayCluster.

    Returns None without an autoscaler, and where the pod may not read its RayCluster.
    """
    try:
        resource: dict[str, Any] = KubernetesHttpApiClient(namespace).get(f"rayclusters/{cluster}")
    except OSError:  # every exception of requests is an OSError
        return None
    if not resource["spec"].get("enableInTreeAutoscaling"):
        return None
    return of_config(AutoscalingConfig(_derive_autoscaling_config_from_ray_cr(resource), True))


def _logs_folder() -> str:
    """Return the log folder of the cluster's session; it identifies one of a machine's clusters."""
    node = ray._private.worker._global_node
    assert node is not None, "a cluster was joined"
    return str(node.get_logs_dir_path())


def _file_of_monitor(logs: str) -> str | None:
    """Return the configuration file on the command line of a session's autoscaler, if any."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = os.fsdecode(process.read_bytes()).split("\0")
        except OSError:  # the process has ended, or belongs to another user
            continue
        if f"--logs-dir={logs}" in words and any(word.endswith(MONITORS) for word in words):
            files = [word.removeprefix(OPTION) for word in words if word.startswith(OPTION)]
            return os.path.expanduser(files[0]) if files else None
    return None
