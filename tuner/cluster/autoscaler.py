"""What a cluster's autoscaler may start: read from Ray's own configuration of it.

`ray up` and `ray start --autoscaling-config` hand it to a process beside the head; KubeRay's is the
RayCluster itself. (Ray has a place for it in the GCS too, where its own autoscaler, as of 2.60,
writes nothing.) Whoever asks has to be on the head.
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
"""Ray's autoscaler, as its command line names it."""
OPTION = "--autoscaling-config="
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Growing:
    """A type of nodes that an autoscaler starts; resources are None where they show only then."""

    name: str
    cpus: float | None
    gpus: float
    most: int
    priority: int


@dataclass(frozen=True)
class Declared:
    """What an autoscaler was told.

    Attributes:
        types: that it may start, the head's among them only where workers may be of it.
        most: nodes of all types together.
        idle_seconds: after which a node that does nothing is ended; None: never.
    """

    types: tuple[Growing, ...]
    most: int
    idle_seconds: float | None


def declared() -> Declared | None:
    """What the joined cluster may grow to; None where nothing starts nodes."""
    logging.getLogger("ray.autoscaler").setLevel(logging.ERROR)  # its own doings, said there
    if file := _file_of_monitor(_logs_folder()):
        return of_config(FileConfigReader(file).get_cached_autoscaling_config())
    if os.environ.get("RAY_CLUSTER_NAME") and POD_NAMESPACE.exists():
        return _of_kuberay(
            os.environ["RAY_CLUSTER_NAME"], POD_NAMESPACE.read_text(encoding="utf-8").strip()
        )
    return None


def of_config(config: AutoscalingConfig) -> Declared:
    """What a configuration says, as Ray's autoscaler reads it."""
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
    """Of the RayCluster that this pod is in; None where the pod may not read it: no autoscaler."""
    try:
        resource: dict[str, Any] = KubernetesHttpApiClient(namespace).get(f"rayclusters/{cluster}")
    except OSError:  # of requests: all are
        return None
    if not resource["spec"].get("enableInTreeAutoscaling"):
        return None
    return of_config(AutoscalingConfig(_derive_autoscaling_config_from_ray_cr(resource), True))


def _logs_folder() -> str:
    """Of the cluster's session, which tells the clusters of one machine apart."""
    node = ray._private.worker._global_node
    assert node is not None, "a cluster was joined"
    return str(node.get_logs_dir_path())


def _file_of_monitor(logs: str) -> str | None:
    """What the autoscaler of a session was started with, from its command line."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = os.fsdecode(process.read_bytes()).split("\0")
        except OSError:  # it has gone, or is another user's
            continue
        if f"--logs-dir={logs}" in words and any(word.endswith(MONITORS) for word in words):
            files = [word.removeprefix(OPTION) for word in words if word.startswith(OPTION)]
            return os.path.expanduser(files[0]) if files else None
    return None
