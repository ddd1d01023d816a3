"""A cloud on one machine: Ray's head, and its autoscaler v2, whose nodes are processes.

Of each node it claims a GPU that is not there. Everything has its own HOME, temporary folder, ports
and token, and is ended by process id.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ray

from tests.chaos.study import Place, end
from tests.ports import free_port

HEAD = "f" * 51 + "00000"
NODE = "RAY_OVERRIDE_NODE_ID_FOR_TESTING"
"""In the environment of every process of a node: its id."""
ROOT = Path(__file__).parents[2]
STORE = 100 * 2**20
"""Bytes of shared memory for the objects of a node; Ray takes no less than 75 MiB."""
IDLE_MINUTES = 0.05


class Cloud:
    """A head without CPUs or GPUs, and at most so many nodes with a CPU and a GPU."""

    def __init__(self, most: int) -> None:
        self.place = Place()
        self._drivers: list[subprocess.Popen[str]] = []
        self._port = free_port()
        self._address = f"{ray.util.get_node_ip_address()}:{self._port}"
        self._environment = self.place.environment("driver") | {"RAY_AUTH_MODE": "token"}
        token = self.place.folder / "driver" / ".ray" / "auth_token"
        token.parent.mkdir()
        token.touch(0o600)
        token.write_text("t" * 64)
        config = self.place.folder / "autoscaler.yaml"
        config.write_text(json.dumps(self._autoscaler(most)))  # which is YAML, too
        self._head = self._start_head(config)

    def tuner(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `tuner …` on the head."""
        hook = {"worker_process_setup_hook": "tests.autoscaling.fake_gpu.train_on_the_cpu"}
        joined = {
            "RAY_ADDRESS": self._address,
            "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": hook}),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner", *arguments],
            cwd=self.place.folder,
            env=self._environment | joined,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._drivers.append(process)
        return process

    def nodes(self) -> set[str]:
        """Ids of the workers that are alive."""
        return {
            self._node_of(number)
            for number, title in self.place.processes("driver").items()
            if re.match(r"\S*/raylet ", title)
        } - {HEAD, ""}

    def take(self, node: str) -> None:
        """End a node without notice, as clouds take spot machines: all its processes at once."""
        for number in self.place.processes("driver"):
            if self._node_of(number) == node:
                end(number, signal.SIGKILL)

    def close(self) -> None:
        """End all processes, and remove all that was written."""
        end(self._head.pid, signal.SIGKILL)  # first, since its autoscaler starts others
        self.place.close(keep=False)
        self._head.wait()
        for driver in self._drivers:
            driver.communicate()

    def _autoscaler(self, most: int) -> dict[str, Any]:
        worker = {"CPU": 1, "GPU": 1, "object_store_memory": STORE}
        provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
        return {
            "cluster_name": "cloud",
            "max_workers": most,
            "idle_timeout_minutes": IDLE_MINUTES,
            "provider": {
                "type": "external",
                "module": provider,
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "launch_multiple": True,
                "gcs_address": self._address,
                "head_node_id": HEAD,
            },
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
                "gpu": {"resources": worker, "node_config": {}, "max_workers": most},
            },
            "head_node_type": "ray.head.default",
            **{f"{whose}setup_commands": [] for whose in ("", "head_", "worker_")},
            **{f"{whose}_start_ray_commands": [] for whose in ("head", "worker")},
            **{"cluster_synced_files": [], "file_mounts": {}, "auth": {}},
        }

    def _start_head(self, config: Path) -> subprocess.Popen[bytes]:
        fake = {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            NODE: HEAD,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "PYTHONPATH": str(ROOT),
        }
        options = {
            "port": self._port,
            "ray-client-server-port": free_port(),
            "dashboard-agent-listen-port": free_port(),
            "min-worker-port": 0,
            "max-worker-port": 0,
            "include-dashboard": False,
            "num-cpus": 0,
            "num-gpus": 0,
            "object-store-memory": STORE,
            "autoscaling-config": config,
        }
        ray_ = Path(sys.executable).with_name("ray")
        with (self.place.folder / "head.txt").open("wb") as log:
            head = subprocess.Popen(
                [ray_, "start", "--head", "--block"]
                + [f"--{name}={value}" for name, value in options.items()],
                env=self._environment | fake,
                cwd=self.place.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (said := (self.place.folder / "head.txt").read_text()):
            assert head.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)
        return head

    def _node_of(self, process: int) -> str:
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:  # it has gone
            return ""
        found = [line for line in environment if line.startswith(os.fsencode(f"{NODE}="))]
        return os.fsdecode(found[0].partition(b"=")[2]) if found else ""
