"""Ways to break a cluster, by the rule that has to notice: each changes a manifest in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.manifests.manifests import Manifest

Edit = Callable[[Any], object]


def types(manifest: Manifest) -> list[Any]:
    return list(manifest["available_node_types"].values())


def workers(manifest: Manifest) -> list[Any]:
    return types(manifest)[-2:]


def spec_of(manifest: Manifest) -> Any:
    return manifest["spec"].get("rayClusterSpec", manifest["spec"])


def start_params(spec: Any) -> Any:
    return spec["headGroupSpec"]["rayStartParams"]


def containers(spec: Any) -> list[Any]:
    """Return Ray's containers of the head and of the worker groups."""
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def start(which: str, old: str, new: str) -> Edit:
    """Change the command that starts Ray on the head, or on workers."""

    def edit(manifest: Manifest) -> None:
        commands = manifest[f"{which}_start_ray_commands"]
        assert old in commands[-1]
        commands[-1] = commands[-1].replace(old, new)

    return edit


def options(which: str, old: str, new: str) -> Edit:
    """Change what containers are started with: run_options of all, head_run_options."""

    def edit(manifest: Manifest) -> None:
        found = manifest["docker"][which]
        assert old in found
        manifest["docker"][which] = [new if option == old else option for option in found]

    return edit


def setup(old: str, new: str) -> Edit:
    def edit(manifest: Manifest) -> None:
        for key in ("setup_commands", "head_setup_commands"):
            manifest[key] = [command.replace(old, new) for command in manifest[key]]

    return edit


AUTH = "--env RAY_AUTH_MODE=token"
PASSWORD = "--env MLFLOW_TRACKING_PASSWORD=Tr0ub4dor"
RAY_UP_BROKEN: dict[str, list[Edit]] = {
    "the_head_runs_no_trials": [
        start("head", "--num-cpus=0 ", ""),
        start("head", "--num-gpus=0 ", "--num-gpus=1 "),
    ],
    "the_dashboard_is_on_loopback": [
        start("head", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0"),
        start("head", "--dashboard-host=127.0.0.1", ""),
        start("head", "--dashboard-host=127.0.0.1", "--dashboard-host=::"),
    ],
    "every_node_asks_for_the_token": [
        options("run_options", AUTH, "--env RAY_AUTH_MODE=disabled"),
        options("run_options", AUTH, "--init"),
        start("worker", "ray start", "RAY_AUTH_MODE=disabled ray start"),
    ],
    "the_token_is_carried_safely": [
        setup("-m 600", "-m 644"),
        lambda manifest: manifest["file_mounts"].pop("~/carried/ray"),
    ],
    "the_image_is_pinned": [
        lambda manifest: manifest["docker"].update(image="rayproject/ray:latest-py311-gpu"),
        lambda manifest: manifest["docker"].update(image="rayproject/ray-ml:2.60.0-py311-gpu"),
    ],
    "workers_come_and_go": [
        lambda manifest: manifest.update(idle_timeout_minutes=0),
        lambda manifest: manifest.update(idle_timeout_minutes=600),
        lambda manifest: manifest.update(max_workers=1),
        lambda manifest: workers(manifest)[-1].update(min_workers=1),
        lambda manifest: workers(manifest)[-1].update(max_workers=0),
        lambda manifest: workers(manifest)[-1].update(resources={"CPU": 8}),
    ],
    "commands_are_our_own": [
        lambda manifest: manifest.pop("worker_start_ray_commands"),
        lambda manifest: manifest.pop("head_start_ray_commands"),
        setup("-c /tmp/tuner/constraints.txt", ""),
    ],
    "the_autoscaler_is_v2": [
        start("head", "ray start", "RAY_enable_autoscaler_v2=0 ray start"),
        start("head", "--autoscaling-config=~/ray_bootstrap_config.yaml ", ""),
    ],
    "a_stopped_study_may_end_in_order": [
        options("head_run_options", "--env RAY_JOB_STOP_SIGNAL=SIGINT", "--init"),
        options("head_run_options", "--env RAY_JOB_STOP_WAIT_TIME_S=600", "--init"),
    ],
    "the_head_alone_knows_storage_and_mlflow": [
        lambda manifest: manifest["docker"].update(head_run_options=[]),
        lambda manifest: manifest["docker"]["run_options"].append("--env TUNER_STORAGE=s3://b"),
    ],
    "nothing_is_secret": [
        lambda manifest: manifest["docker"]["head_run_options"].append(PASSWORD),
        lambda manifest: manifest["metadata"]["settings"].update(mlflow_password="Tr0ub4dor"),
        start("head", "ray start", "export RAY_AUTH_TOKEN=0123456789abcdef; ray start"),
        lambda manifest: manifest["provider"].update(
            aws_credentials={"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}
        ),
        lambda manifest: manifest["docker"]["head_run_options"].append(
            "--env MLFLOW_TRACKING_URI=https://me:Tr0ub4dor@mlflow.example.org"
        ),
    ],
}
CLOUD_BROKEN: dict[str, list[Edit]] = {
    "the_head_runs_no_trials": [
        lambda manifest: types(manifest)[0].update(resources={"CPU": 4, "GPU": 0}),
        lambda manifest: types(manifest)[0].update(resources={}),
    ],
    "what_goes_is_gone": [
        lambda manifest: manifest["provider"].pop("cache_stopped_nodes"),
        lambda manifest: manifest["provider"].update(cache_stopped_nodes=True),
    ],
    "spot_comes_first": [
        lambda manifest: types(manifest)[1].update(priority=0),
        lambda manifest: types(manifest)[1].pop("priority"),
        lambda manifest: types(manifest)[2].update(priority=10),
        lambda manifest: types(manifest)[1].update(resources={"CPU": 4, "GPU": 1}),
        lambda manifest: manifest["available_node_types"].popitem(),
    ],
}
KUBERAY_BROKEN: dict[str, list[Edit]] = {
    "the_head_runs_no_trials": [
        lambda spec: start_params(spec).pop("num-cpus"),
        lambda spec: start_params(spec).update({"num-gpus": "1"}),
    ],
    "the_dashboard_is_on_loopback": [
        lambda spec: start_params(spec).pop("dashboard-host"),
        lambda spec: start_params(spec).update({"dashboard-host": "0.0.0.0"}),
    ],
    "every_node_asks_for_the_token": [
        lambda spec: spec["authOptions"].update(mode="disabled"),
        lambda spec: spec.pop("authOptions"),
        lambda spec: containers(spec)[-1].update(
            env=[{"name": "RAY_AUTH_MODE", "value": "disabled"}]
        ),
    ],
    "the_token_is_carried_safely": [lambda spec: spec["authOptions"].pop("secretName")],
    "the_image_is_pinned": [
        lambda spec: containers(spec)[0].update(image="rayproject/ray:latest"),
        lambda spec: containers(spec)[-1].update(image="REGISTRY/tuner:latest"),
    ],
    "workers_come_and_go": [
        lambda spec: spec["workerGroupSpecs"][0].update(minReplicas=1),
        lambda spec: spec["workerGroupSpecs"][1].update(maxReplicas=1),
        lambda spec: spec["autoscalerOptions"].pop("idleTimeoutSeconds"),
    ],
    "spot_comes_first": [
        lambda spec: spec["workerGroupSpecs"][0].pop("priority"),
        lambda spec: spec["workerGroupSpecs"][1].update(priority=10),
        lambda spec: spec["workerGroupSpecs"].pop(),
        lambda spec: containers(spec)[1].update(
            resources={"limits": {"cpu": "3", "nvidia.com/gpu": "1"}}
        ),
    ],
    "the_autoscaler_is_v2": [
        lambda spec: spec["autoscalerOptions"].update(version="v1"),
        lambda spec: spec["autoscalerOptions"].pop("version"),
        lambda spec: spec.update(enableInTreeAutoscaling=False),
        lambda spec: spec["headGroupSpec"]["template"]["spec"].update(restartPolicy="Always"),
    ],
    "a_stopped_study_may_end_in_order": [lambda spec: containers(spec)[0]["env"].pop()],
    "the_head_alone_knows_storage_and_mlflow": [
        lambda spec: containers(spec)[0]["env"].pop(0),
        lambda spec: containers(spec)[0]["env"].pop(1),
    ],
    "nothing_is_secret": [
        lambda spec: containers(spec)[0]["env"].append(
            {"name": "MLFLOW_TRACKING_PASSWORD", "value": "Tr0ub4dor"}
        ),
    ],
    "a_pod_has_no_more_rights_than_it_needs": [
        lambda spec: containers(spec)[0].pop("securityContext"),
        lambda spec: containers(spec)[-1].update(securityContext={"privileged": True}),
        lambda spec: spec["headGroupSpec"]["template"]["metadata"].update(labels={}),
        lambda spec: spec["headGroupSpec"]["template"]["spec"].update(hostNetwork=True),
        lambda spec: spec["headGroupSpec"].update(serviceType="LoadBalancer"),
    ],
}
JOB_BROKEN: dict[str, list[Edit]] = {
    "what_goes_is_gone": [lambda manifest: manifest["spec"].pop("shutdownAfterJobFinishes")],
}
