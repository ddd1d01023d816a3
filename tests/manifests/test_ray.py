"""Ray itself on the clusters of cluster/: it takes them, and does with them what they say.

Nothing is started and nothing is asked of a cloud: Ray's own code reads the files, decides what to
launch, and would do by ssh what is written down here.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import ray.autoscaler
from botocore.session import get_session
from botocore.validate import ParamValidator
from jsonschema import Draft7Validator, ValidationError
from ray.autoscaler._private.commands import get_or_create_head_node
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.local.node_provider import LocalNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.instance_manager_pb2 import Instance

from tests.manifests.machines import HOME, Machines
from tests.manifests.manifests import FILES, FOLDER, KUBERAY, RAY_UP, Manifest, load, read

pytestmark = pytest.mark.integration
leaves_files_open = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Ray does

TOKEN = "0123456789abcdef" * 4
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


@pytest.fixture(autouse=True)
def _as_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the repository's folder, with a token and a key, and a folder of one's own for Ray."""
    home = tmp_path / "home"
    for name, content in {".ray/auth_token": TOKEN, ".ssh/id_ed25519": "a key"}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    sources = tmp_path / "sources"  # a small one: Ray reads all of it
    sources.mkdir()
    (sources / "constraints.txt").write_text("ray==2.60.0")
    monkeypatch.chdir(sources)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


def prepared(manifest: Manifest) -> Manifest:
    """The configuration as `ray up` completes it, with its own check of the result."""
    config: Manifest = prepare_config(copy.deepcopy(manifest))
    validate_config(config)
    return config


def autoscaling(name: str) -> AutoscalingConfig:
    """Return the configuration that the autoscaler goes by."""
    manifest = copy.deepcopy(load(name))
    if "kind" in manifest:
        spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
        manifest = _derive_autoscaling_config_from_ray_cr(
            {"metadata": {"name": "tuner", "namespace": "default"}, "spec": spec}
        )
    return AutoscalingConfig(manifest, skip_content_hash=True)


@pytest.mark.parametrize("name", RAY_UP)
def test_files_follow_rays_schema(name: str) -> None:
    Draft7Validator(SCHEMA).validate(load(name))


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_takes_them(name: str) -> None:
    config = prepared(load(name))
    assert config["docker"]["image"].startswith("rayproject/ray:2.60.0")
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert config[key] == load(name)[key]
    assert "wheel" not in str(config)  # nor the nightly one of Ray's defaults
    both = zip(config["head_setup_commands"], config["worker_setup_commands"], strict=False)
    assert [head == worker for head, worker in both][:2] == [True, True]


@pytest.mark.parametrize(
    "change", [{"idle_timeout_minute": 5}, {"max_workers": "8"}, {"provider": {}}], ids=str
)
@pytest.mark.parametrize("name", RAY_UP)
def test_ray_would_refuse_mistakes(name: str, change: Manifest) -> None:
    with pytest.raises((ValidationError, KeyError, ValueError, AttributeError)):
        prepared({**load(name), **change})


@pytest.mark.parametrize("name", FILES)
def test_what_the_autoscaler_understands(name: str) -> None:
    config, cluster = autoscaling(name), read(load(name))
    types = config.get_node_type_configs()
    for nodes in cluster.workers:
        understood = types[nodes.name]
        assert understood.min_worker_nodes == 0
        assert understood.priority == nodes.priority
        assert understood.resources["CPU"] == nodes.cpus
        assert understood.resources["GPU"] == nodes.gpus
    if name != "on-prem.yaml":
        head = types[config.get_head_node_type()]
        assert head.resources["CPU"] == head.resources["GPU"] == 0
        assert head.max_worker_nodes == 1
    assert config.get_idle_timeout_s() == 300


def launched(name: str, trials: int, available: dict[str, float]) -> dict[str, int]:
    """Return what the autoscaler launches for so many trials, each with its own GPU and CPU."""
    config = autoscaling(name)
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count(
            [ResourceRequestUtil.make({"CPU": 1, "GPU": 1}) for _ in range(trials)]
        ),
        recoverable_resource_availabilities=available,
    )
    reply = ResourceDemandScheduler(None).schedule(request)
    launches: dict[str, int] = {}
    for launch in reply.to_launch:
        launches[launch.instance_type] = launches.get(launch.instance_type, 0) + launch.count
    head = config.get_head_node_type()
    if len(config.get_node_type_configs()) > 1:
        launches.pop(head, None)
    return launches


@pytest.mark.parametrize("name", [name for name in FILES if name != "on-prem.yaml"])
def test_spot_machines_first_and_others_where_there_are_none(name: str) -> None:
    spot, fallback = read(load(name)).workers
    assert launched(name, 3, {}) == {spot.name: 3}
    assert launched(name, 3, {spot.name: 0.0}) == {fallback.name: 3}


def test_hosts_join_for_trials() -> None:
    assert launched("on-prem.yaml", 2, {}) == {"local.cluster.node": 2}


def test_aws_knows_every_setting_of_its_machines() -> None:
    """By the description of its interface that comes with botocore."""
    shape = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for node_type in load("aws.yaml")["available_node_types"].values():
        settings = {**node_type["node_config"], "MinCount": 1, "MaxCount": 1}
        report = ParamValidator().validate(settings, shape)
        assert not report.has_errors(), report.generate_report()


def up(name: str) -> Machines:
    """`ray up`, with machines that only write down."""
    config, machines = prepared(load(name)), Machines()
    hosts = {"type": "local", "head_ip": "127.0.0.1", "worker_ips": ["127.0.0.2"]}
    config["provider"] = hosts
    config["auth"].setdefault("ssh_private_key", "~/.ssh/id_ed25519")
    get_or_create_head_node(
        config,
        printable_config_file=name,
        no_restart=False,
        restart_only=False,
        yes=True,
        override_cluster_name=None,
        _provider=LocalNodeProvider(hosts, config["cluster_name"]),
        _runner=machines,  # type: ignore[arg-type]
    )
    return machines


@leaves_files_open
@pytest.mark.parametrize("name", RAY_UP)
def test_what_ray_up_does_to_the_head(name: str) -> None:
    machines = up(name)

    [container] = machines.matching("docker run")
    for option in (
        "--env RAY_AUTH_MODE=token",
        "--env TUNER_STORAGE=",
        "--env MLFLOW_TRACKING_URI=https://",
        "--env RAY_JOB_STOP_SIGNAL=SIGINT",
        f"/tmp/ray_tmp_mount/tuner/~/carried/ray:{HOME}/carried/ray",
        f"/tmp/ray_tmp_mount/tuner/~/carried/tuner:{HOME}/carried/tuner",
        "rayproject/ray:2.60.0-py311-gpu",
    ):
        assert option in container
    install = machines.matching("pip install")[0]
    assert "-c /tmp/tuner/constraints.txt" in install
    [start] = machines.matching("ray start")
    assert "docker exec" in start
    assert "export RAY_enable_autoscaler_v2=1; " in start
    assert "--num-cpus=0 --num-gpus=0 --dashboard-host=127.0.0.1 " in start
    order = [machines.commands.index(command) for command in (container, install, start)]
    assert order == sorted(order)
    [sources] = machines.matching("rsync --rsh", "/carried/tuner/")
    assert "--exclude .git " in sources
    assert "--filter dir-merge,- .gitignore " in sources
    assert all(TOKEN not in command for command in machines.commands)


@leaves_files_open
@pytest.mark.parametrize("name", RAY_UP)
def test_what_the_head_does_to_a_worker(name: str) -> None:
    machines = Machines()
    manifest = load(name)
    manifest["auth"]["ssh_private_key"] = "~/.ssh/id_ed25519"
    hosts = {"type": "local", "head_ip": "127.0.0.1", "worker_ips": ["127.0.0.2"]}
    config = AutoscalingConfig(manifest)
    provider = LocalNodeProvider(hosts, "tuner")
    provider.create_node({}, {"ray-node-type": "worker"}, 1)
    spot = read(load(name)).workers[0]
    instance = Instance(
        instance_id="1", cloud_instance_id="127.0.0.2", instance_type=spot.name, status=0
    )
    config.get_raw_config_mutable()["provider"] = hosts
    RayInstaller(provider, config, machines).install_ray(instance, "10.0.0.1")  # type: ignore[arg-type]

    [container] = machines.matching("docker run")
    assert "--env RAY_AUTH_MODE=token" in container
    assert "--runtime=nvidia" in container
    assert "MLFLOW_TRACKING_URI" not in container
    [start] = machines.matching("ray start")
    assert "export RAY_HEAD_IP=10.0.0.1; " in start
    assert f"export RAY_NODE_TYPE_NAME={spot.name}; " in start
    assert "--address=$RAY_HEAD_IP:6379" in start
    assert machines.matching("install -D -m 600", "auth_token")
    assert all(TOKEN not in command for command in machines.commands)


@pytest.mark.parametrize("name", KUBERAY)
def test_what_the_operator_asks_of_v2(name: str) -> None:
    """KubeRay refuses v2 where the head's environment turns it on as well, or pods restart."""
    manifest: Any = load(name)
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert "RAY_enable_autoscaler_v2" not in {item["name"] for item in head["env"]}
    assert tuple(map(int, spec["rayVersion"].split("."))) >= (2, 56)  # from there priority counts
    assert spec["rayVersion"] == ray.__version__


def test_the_image_is_of_the_ray_that_is_installed() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM rayproject/ray:{ray.__version__}-py311-gpu" in dockerfile
