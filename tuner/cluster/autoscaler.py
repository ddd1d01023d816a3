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
from typing import TYPE_CHECKING

from tuner.cluster.private import (
    AUTOSCALER_LOG,
    MONITOR_CONFIG,
    MONITOR_LOGS,
    MONITORS,
    kubernetes,
    limits_in_file,
    limits_in_kuberay,
    logs_folder,
)

if TYPE_CHECKING:
    from tuner.cluster.private import AutoscalingConfig

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
    logging.getLogger(AUTOSCALER_LOG).setLevel(logging.ERROR)
    if file := _file_of_monitor(str(logs_folder())):
        return of_config(limits_in_file(file))
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
        resource = kubernetes(namespace, f"rayclusters/{cluster}")
    except OSError:  # every exception of requests is an OSError
        return None
    if not resource["spec"].get("enableInTreeAutoscaling"):
        return None
    return of_config(limits_in_kuberay(resource))


def _file_of_monitor(logs: str) -> str | None:
    """Return the configuration file on the command line of a session's autoscaler, if any.

    Args:
        logs: the folder of the session's logs, which identifies one of a machine's clusters.
    """
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = os.fsdecode(process.read_bytes()).split("\0")
        except OSError:  # the process has ended, or belongs to another user
            continue
        if f"{MONITOR_LOGS}{logs}" in words and any(word.endswith(MONITORS) for word in words):
            files = [w.removeprefix(MONITOR_CONFIG) for w in words if w.startswith(MONITOR_CONFIG)]
            return os.path.expanduser(files[0]) if files else None
    return None
