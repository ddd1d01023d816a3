"""The rules that every cluster of this project keeps, each a function that says what is wrong.

A rule is given a `Cluster` and gives back its complaints, none where all is well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.manifests.manifests import FOLDER, Cluster

IMAGE = "rayproject/ray:2.60.0-py311-gpu"
SECRET_NAME = re.compile(r"(?i)passw|secret|token|api_?key|access_?key|credential")
NO_SECRETS = {"HttpTokens", "secretName"}  # whether one is needed, and where it is
SECRET_VALUE = re.compile(
    r"(?i:passw\w*|secret\w*|token\w*|\w*key\w*)[=:] *[^\s$]{6}"  # PASSWORD=…
    r"|://[^/\s]*:[^/\s]+@"  # a URL with a login
    r"|AKIA[0-9A-Z]{16}|\bhf_\w{20}|-----BEGIN|\b[0-9a-f]{40}"
)
RULES: dict[str, Callable[[Cluster], Iterator[str]]] = {}


def rule(function: Callable[[Cluster], Iterator[str]]) -> Callable[[Cluster], Iterator[str]]:
    RULES[function.__name__] = function
    return function


def broken(cluster: Cluster) -> dict[str, list[str]]:
    """The complaints of each rule that is not kept."""
    said = {name: list(complaints(cluster)) for name, complaints in RULES.items()}
    return {name: complaints for name, complaints in said.items() if complaints}


@rule
def the_head_runs_no_trials(cluster: Cluster) -> Iterator[str]:
    if (cluster.head.cpus, cluster.head.gpus) != (0, 0):
        yield f"the head offers {cluster.head.cpus} CPUs and {cluster.head.gpus} GPUs"
    for start in cluster.starts:
        if "--head" in start and not ("--num-cpus=0 " in start and "--num-gpus=0 " in start):
            yield "the head's start command leaves its CPUs and GPUs to be counted"


@rule
def the_dashboard_is_on_loopback(cluster: Cluster) -> Iterator[str]:
    if cluster.dashboard_host != "127.0.0.1":
        yield f"the dashboard, which runs anybody's jobs, is at {cluster.dashboard_host!r}"
    if "0.0.0.0" in str(cluster.manifest):
        yield "something listens to everybody"


@rule
def every_node_asks_for_the_token(cluster: Cluster) -> Iterator[str]:
    for nodes in (cluster.head, *cluster.workers):
        if nodes.environment.get("RAY_AUTH_MODE") != "token":
            yield f"{nodes.name} takes anybody in"
    if re.search(r"RAY_AUTH_MODE\W+(value\W+)?disabled", str(cluster.manifest)):
        yield "somewhere tokens are turned off again"


@rule
def the_token_is_carried_safely(cluster: Cluster) -> Iterator[str]:
    if not cluster.starts:
        if not _kuberay_spec(cluster).get("authOptions", {}).get("secretName"):
            yield "the pods are not told which Secret holds the token"
        return
    if cluster.manifest["file_mounts"].get("~/carried/ray") != "~/.ray":
        yield "the token is not carried to the nodes"
    if not re.search(r"install -D -m 600 \S+/auth_token ~/\.ray/auth_token", cluster.setup):
        yield "others on a node may read the token"


@rule
def the_image_is_pinned(cluster: Cluster) -> Iterator[str]:
    built = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    base = re.findall(r"^FROM (\S+)", built, re.MULTILINE)
    for nodes in (cluster.head, *cluster.workers):
        own = nodes.image.endswith(f"/tuner:{IMAGE.partition('/')[2].replace(':', '-')}")
        if nodes.image != IMAGE and not (own and base == [IMAGE]):
            yield f"{nodes.name} runs {nodes.image}"


@rule
def workers_come_and_go(cluster: Cluster) -> Iterator[str]:
    for nodes in cluster.workers:
        if nodes.least != 0 or nodes.gpus < 1 or nodes.most != cluster.most or nodes.most < 1:
            yield f"{nodes.name}: {nodes.least} to {nodes.most} nodes, of {cluster.most} in all"
    if not 0 < cluster.idle_minutes <= 15:
        yield f"a worker without work stays for {cluster.idle_minutes} minutes"


@rule
def what_goes_is_gone(cluster: Cluster) -> Iterator[str]:
    provider = cluster.manifest.get("provider", {"type": "local"})
    if provider["type"] != "local" and provider.get("cache_stopped_nodes") is not False:
        yield "machines are stopped, not deleted, and their disks go on costing"
    spec = cluster.manifest.get("spec", {})
    if "entrypoint" in spec and spec.get("shutdownAfterJobFinishes") is not True:
        yield "the cluster stays when its job is done"


@rule
def commands_are_our_own(cluster: Cluster) -> Iterator[str]:
    """Ray's defaults open the dashboard, and install a nightly Ray where there is none."""
    if "kind" in cluster.manifest:
        return
    heads = [start for start in cluster.starts if "--head" in start]
    workers = [start for start in cluster.starts if "--address=$RAY_HEAD_IP:6379" in start]
    if (len(heads), len(workers), len(cluster.starts)) != (1, 1, 2):
        yield "head and workers are not started by one command of ours each"
    if not re.search(r"pip install [^&]*-c \S*constraints\.txt", cluster.setup):
        yield "nodes do not install the versions of constraints.txt"
    if cluster.manifest["file_mounts"].get("~/carried/tuner") != ".":
        yield "constraints.txt is not carried to the nodes"


@rule
def spot_comes_first(cluster: Cluster) -> Iterator[str]:
    if cluster.manifest.get("provider", {}).get("type") == "local":
        return
    spot = [nodes for nodes in cluster.workers if nodes.spot]
    others = [nodes for nodes in cluster.workers if not nodes.spot]
    if not spot or not others:
        yield "there are not both spot nodes and others"
    for first in spot:
        for fallback in others:
            if first.priority <= fallback.priority:
                yield f"{first.name} is not preferred to {fallback.name}"
            if (first.cpus, first.gpus) != (fallback.cpus, fallback.gpus):
                yield f"{first.name} and {fallback.name} differ: fit would decide, not priority"


@rule
def the_autoscaler_is_v2(cluster: Cluster) -> Iterator[str]:
    if "kind" in cluster.manifest:
        spec = _kuberay_spec(cluster)
        if spec.get("autoscalerOptions", {}).get("version") != "v2":
            yield "autoscalerOptions.version is not v2"
        if spec.get("enableInTreeAutoscaling") is not True:
            yield "nothing scales"
        pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        if any(pod["template"]["spec"].get("restartPolicy") != "Never" for pod in pods):
            yield "v2 wants pods that are not restarted"
        return
    if "enable_autoscaler_v2" in str(cluster.manifest):
        yield "v2 is what `ray up` takes by itself; something meddles with it"
    if not any("--autoscaling-config=~/ray_bootstrap_config.yaml " in it for it in cluster.starts):
        yield "the head is not told to scale"


@rule
def a_stopped_study_may_end_in_order(cluster: Cluster) -> Iterator[str]:
    head = cluster.head.environment
    if head.get("RAY_JOB_STOP_SIGNAL") != "SIGINT":
        yield "a stopped job is sent SIGTERM"
    if int(head.get("RAY_JOB_STOP_WAIT_TIME_S", 3)) < 60:
        yield "a stopped job is killed after seconds"


@rule
def the_head_alone_knows_storage_and_mlflow(cluster: Cluster) -> Iterator[str]:
    for name in ("TUNER_STORAGE", "MLFLOW_TRACKING_URI"):
        if not cluster.head.environment.get(name):
            yield f"the head has no {name}"
        for nodes in cluster.workers:
            if name in nodes.environment:
                yield f"{nodes.name} has {name}, and needs none"


@rule
def nothing_is_secret(cluster: Cluster) -> Iterator[str]:
    for name, value in _leaves(cluster.manifest):
        named = SECRET_NAME.search(name) and name not in NO_SECRETS and len(value) > 5
        if named or SECRET_VALUE.search(value):
            yield f"{name} looks like a secret"


@rule
def a_pod_has_no_more_rights_than_it_needs(cluster: Cluster) -> Iterator[str]:
    if "kind" not in cluster.manifest:
        return
    spec = _kuberay_spec(cluster)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]
        if pod["metadata"]["labels"].get("app.kubernetes.io/name") != "tuner":
            yield "a pod is outside base.yaml's network policy"
        for container in pod["spec"]["containers"]:
            limits = {"runAsNonRoot": True, "allowPrivilegeEscalation": False}
            if container.get("securityContext") != limits:
                yield f"{container['name']} may become root"
        if pod["spec"].get("hostNetwork") or group.get("serviceType", "ClusterIP") != "ClusterIP":
            yield "a pod can be reached from outside"


def _kuberay_spec(cluster: Cluster) -> Any:
    spec = cluster.manifest["spec"]
    return spec.get("rayClusterSpec", spec)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a manifest, with the name that it has there."""
    if isinstance(value, dict):
        if {"name", "value"} <= value.keys():  # an environment variable of a pod
            yield from _leaves(value["value"], value["name"])
        for key, inner in value.items():
            yield from _leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str):
        yield name, value
