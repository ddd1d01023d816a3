"""The files of cluster/ as one thing: whatever a cluster runs on, it has a head and workers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent.parent / "cluster"
RAY_UP = ("aws.yaml", "gcp.yaml", "on-prem.yaml")
KUBERAY = ("kuberay/raycluster.yaml", "kuberay/rayjob.yaml")
FILES = (*RAY_UP, *KUBERAY)

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Nodes:
    """One kind of node."""

    name: str
    cpus: int
    gpus: int
    least: int
    most: int
    priority: int
    spot: bool
    image: str
    environment: dict[str, str]


@dataclass(frozen=True)
class Cluster:
    """The parts of a manifest that the rules look at."""

    head: Nodes
    workers: tuple[Nodes, ...]
    most: int  # workers in all
    idle_minutes: float
    dashboard_host: str
    starts: tuple[str, ...]  # the commands that start Ray: ours; none where KubeRay makes them
    setup: str  # the commands before those
    manifest: Manifest


def load(name: str) -> Manifest:
    """A file of cluster/, as plain data."""
    loaded: Manifest = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def read(manifest: Manifest) -> Cluster:
    return _kuberay(manifest) if "kind" in manifest else _ray_up(manifest)


def _ray_up(manifest: Manifest) -> Cluster:
    docker, types = manifest["docker"], manifest["available_node_types"]
    everywhere = docker.get("run_options", [])
    on_head = [*everywhere, *docker.get("head_run_options", [])]
    starts = [
        command
        for which in ("head", "worker")
        for command in manifest.get(f"{which}_start_ray_commands", [])
        if "ray start" in command
    ]
    head_start = next((start for start in starts if "--head" in start), "")
    head_type = manifest["head_node_type"]

    def nodes(name: str, options: list[str]) -> Nodes:
        kind = types[name]
        config = str(kind["node_config"]).lower()
        return Nodes(
            name,
            cpus=kind["resources"].get("CPU", -1),
            gpus=kind["resources"].get("GPU", -1),
            least=kind.get("min_workers", 0),
            most=kind.get("max_workers", -1),
            priority=kind.get("priority", 0),
            spot="spot" in config or "preemptible" in config,
            image=docker["image"],
            environment=dict(re.findall(r"--env (\w+)=(\S+)", " ".join(options))),
        )

    head = nodes(head_type, on_head)
    if len(types) == 1:  # the provider `local` has one type: what its head holds, its start says
        held = dict(re.findall(r"--num-(cpus|gpus)=(\d+)", head_start))
        numbers = {kind: int(held.get(kind, -1)) for kind in ("cpus", "gpus")}
        head = Nodes(**{**vars(head), **numbers, "name": "head"})
    workers = [name for name in types if name != head_type or len(types) == 1]
    return Cluster(
        head,
        tuple(nodes(name, everywhere) for name in workers),
        most=manifest.get("max_workers", -1),
        idle_minutes=manifest.get("idle_timeout_minutes", 0),
        dashboard_host=_option("dashboard-host", head_start),
        starts=tuple(starts),
        setup=" ".join(
            command
            for key in ("setup_commands", "head_setup_commands")
            for command in manifest.get(key, [])
        ),
        manifest=manifest,
    )


def _kuberay(manifest: Manifest) -> Cluster:
    job = manifest["kind"] == "RayJob"
    spec = manifest["spec"]["rayClusterSpec"] if job else manifest["spec"]
    auth = {"RAY_AUTH_MODE": spec.get("authOptions", {}).get("mode", "")}  # as the operator does it

    def nodes(group: Manifest) -> Nodes:
        container = group["template"]["spec"]["containers"][0]
        limits, start = container["resources"]["limits"], group["rayStartParams"]
        return Nodes(
            group.get("groupName", "head"),
            cpus=int(start.get("num-cpus", limits["cpu"])),
            gpus=int(start.get("num-gpus", limits.get("nvidia.com/gpu", 0))),
            least=group.get("minReplicas", 0),
            most=group.get("maxReplicas", 0),
            priority=group.get("priority", 0),
            spot="spot" in str(group["template"]["spec"].get("nodeSelector")),
            image=container["image"],
            environment={
                **auth,
                **{item["name"]: item.get("value", "") for item in container.get("env", [])},
            },
        )

    workers = tuple(nodes(group) for group in spec["workerGroupSpecs"])
    return Cluster(
        nodes(spec["headGroupSpec"]),
        workers,
        most=max(worker.most for worker in workers),
        idle_minutes=spec.get("autoscalerOptions", {}).get("idleTimeoutSeconds", 0) / 60,
        dashboard_host=spec["headGroupSpec"]["rayStartParams"].get("dashboard-host", ""),
        starts=(),
        setup="",
        manifest=manifest,
    )


def _option(name: str, command: str) -> str:
    found = re.search(rf"--{name}[= ](\S+)", command)
    return found[1] if found else ""
