"""Hosts of one's own join for trials, also for those that come later: by Ray's own autoscaler."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ray.autoscaler._private.local.node_provider import LocalNodeProvider
from ray.autoscaler.v2.instance_manager.config import FileConfigReader
from ray.autoscaler.v2.instance_manager.instance_manager import InstanceManager
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.node_provider import NodeProviderAdapter
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import (
    CloudInstanceUpdater,
)
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import ClusterResourceState, NodeState, NodeStatus

from tests.manifests.manifests import load

pytestmark = pytest.mark.integration
leaves_files_open = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # Ray does


@pytest.fixture(autouse=True)
def _as_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a home and a folder of one's own, where Ray writes down which hosts are taken."""
    (tmp_path / "ray").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


class AtOnce:
    """Runs in the caller what Ray's adapter leaves to threads: no test waits for them."""

    def submit(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)


def hosts_asked(tmp_path: Path) -> list[int]:
    """Return how many hosts are taken at each look of the autoscaler; trials come at the third."""
    manifest = load("on-prem.yaml")
    manifest["auth"].pop("ssh_private_key")
    manifest["file_mounts"] = {}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(manifest))
    reader = FileConfigReader(str(path))
    hosts = LocalNodeProvider(manifest["provider"], manifest["cluster_name"])
    provider, monitor = NodeProviderAdapter(hosts, reader), CloudResourceMonitor()
    provider._main_executor = provider._node_launcher_executors = AtOnce()
    manager = InstanceManager(
        InstanceStorage("tuner", InMemoryStorage()),
        [CloudInstanceUpdater(provider), monitor],
    )
    taken = []
    for look in range(1, 6):
        head = NodeState(
            node_id=b"h" * 28,
            instance_id=manifest["provider"]["head_ip"],
            ray_node_type_name="local.cluster.node",
            status=NodeStatus.RUNNING,
        )
        head.total_resources["node:__internal_head__"] = 1  # by which Ray knows it
        state = ClusterResourceState(cluster_resource_state_version=look, node_states=[head])
        if look >= 3:
            trial = ResourceRequestUtil.make({"CPU": 1, "GPU": 1})
            state.pending_resource_requests.extend(
                ResourceRequestUtil.group_by_count([trial, trial])
            )
        Reconciler.reconcile(
            instance_manager=manager,
            scheduler=ResourceDemandScheduler(None),
            cloud_provider=provider,
            cloud_resource_monitor=monitor,
            ray_cluster_resource_state=state,
            non_terminated_cloud_instances=provider.get_non_terminated(),
            cloud_provider_errors=provider.poll_errors(),
            ray_install_errors=[],
            ray_stop_errors=[],
            autoscaling_config=reader.get_cached_autoscaling_config(),
        )
        taken.append(len(hosts.non_terminated_nodes({"ray-node-type": "worker"})))
    return taken


@leaves_files_open
def test_hosts_join_also_for_trials_that_come_later(tmp_path: Path) -> None:
    [_, record, _] = load("on-prem.yaml")["head_start_ray_commands"]
    bootstrap = Path.home() / "ray_bootstrap_config.yaml"
    bootstrap.write_text(json.dumps(load("on-prem.yaml")))
    subprocess.run(
        ["bash", "-c", f"PATH={Path(sys.executable).parent}:$PATH; {record}"], check=True
    )
    assert hosts_asked(tmp_path) == [0, 0, 2, 2, 2]


@leaves_files_open
def test_without_that_ray_forgets_its_head(tmp_path: Path) -> None:
    """If this fails, Ray has been mended: take the command out of on-prem.yaml."""
    assert hosts_asked(tmp_path) == [0, 0, 0, 0, 0]
