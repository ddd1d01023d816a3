"""The limits to which a cluster may grow, from Ray's own configurations of its autoscaler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ray.autoscaler._private.kuberay import node_provider
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig, FileConfigReader

from tuner.cluster import autoscaler
from tuner.cluster.autoscaler import Declared, Growing, _file_of_monitor, declared, of_config

pytestmark = pytest.mark.integration  # Ray is imported

AWS = Path(__file__).parents[2] / "cluster" / "aws.yaml"
GROUP = {"rayStartParams": {"num-cpus": "4", "num-gpus": "1"}}
POD = {"spec": {"containers": [{"name": "ray", "resources": {"limits": {"memory": "8Gi"}}}]}}
RAY_CLUSTER = {
    "metadata": {"name": "study", "namespace": "team"},
    "spec": {
        "enableInTreeAutoscaling": True,
        "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": POD},
        "workerGroupSpecs": [
            {**GROUP, "groupName": "gpu", "minReplicas": 0, "maxReplicas": 6, "template": POD}
        ],
    },
}


def test_node_types_are_read_as_the_autoscaler_reads_them() -> None:
    """Spot and on-demand share what may run in all; the head is started by nobody."""
    config = FileConfigReader(str(AWS)).get_cached_autoscaling_config()
    types = (Growing("aws-l4-spot", 8, 1, 8, 10), Growing("aws-l4-on-demand", 8, 1, 8, 0))
    assert of_config(config) == Declared(types, most=8, idle_seconds=300)


class Kubernetes:
    """The part of Kubernetes' API that a head's pod may read: one resource."""

    may_read = True

    def __init__(self, namespace: str) -> None:
        assert namespace == "team"

    def get(self, path: str) -> dict[str, Any]:
        if not self.may_read:
            raise requests.HTTPError("403 Client Error: Forbidden")
        return {"rayclusters/study": RAY_CLUSTER}[path]


def test_a_kubernetes_cluster_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "namespace").write_text("team\n")
    monkeypatch.setattr(autoscaler, "POD_NAMESPACE", tmp_path / "namespace")
    monkeypatch.setattr(node_provider, "KubernetesHttpApiClient", Kubernetes)
    monkeypatch.setattr(autoscaler, "logs_folder", lambda: tmp_path)
    assert declared() is None
    monkeypatch.setenv("RAY_CLUSTER_NAME", "study")
    assert declared() == Declared((Growing("gpu", 4, 1, 6, 0),), most=6, idle_seconds=60)
    monkeypatch.setattr(Kubernetes, "may_read", False)
    assert declared() is None


def test_hosts_that_are_listed_show_what_they_have_only_when_they_are_there() -> None:
    listed = {
        "cluster_name": "here",
        "provider": {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2"]},
        "auth": {"ssh_user": "ubuntu"},
    }
    (type_,) = of_config(AutoscalingConfig(listed, True)).types
    assert (type_.cpus, type_.most) == (None, 1)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[str]:
    """A process that is called as Ray's autoscaler is; the folder of its session's logs."""
    logs = str(tmp_path / "logs")
    script = tmp_path / "autoscaler" / "v2" / "monitor.py"
    script.parent.mkdir(parents=True)
    script.write_text("print('up', flush=True)\ninput()")
    options = [f"--logs-dir={logs}", "--gcs-address=x", "--autoscaling-config=~/cluster.yaml"]
    command = [sys.executable, "-u", str(script), *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield logs
        process.kill()


def test_the_autoscaler_of_a_session_tells_its_file(monitor: str) -> None:
    assert _file_of_monitor(monitor) == str(Path("~/cluster.yaml").expanduser())
    assert _file_of_monitor(f"{monitor}-of-another") is None
