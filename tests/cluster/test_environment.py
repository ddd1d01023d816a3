from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from pydantic import ValidationError

from tuner.cluster.environment import meet_through, variables
from tuner.study.parts import ResourcesConfig


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        ({}, 1),
        ({"cpus_per_trial": 0.5}, 1),
        ({"cpus_per_trial": 6}, 6),
        ({"cpus_per_trial": 6, "workers": 3}, 2),
        ({"cpus_per_trial": 8, "workers": 2, "gpus_per_trial": 2}, 4),
    ],
)
def test_a_thread_for_each_core_of_a_worker(resources: dict[str, float], threads: int) -> None:
    config = ResourcesConfig.model_validate(resources)
    assert config.threads == threads
    set_ = variables(config)
    assert set_["OMP_NUM_THREADS"] == set_["MKL_NUM_THREADS"] == str(threads)


@pytest.mark.integration
def test_torch_and_the_hub_heed_them() -> None:
    """They still do so after an upgrade: each in a process of its own, as a worker is."""
    code = (
        "import torch, datasets.config, huggingface_hub.constants, transformers.utils.hub as hub\n"
        f"assert torch.get_num_threads() == {min(2, os.cpu_count() or 1)}\n"
        "assert huggingface_hub.constants.HF_HUB_OFFLINE\n"
        "assert datasets.config.HF_HUB_OFFLINE\n"
        "assert hub.is_offline_mode()\n"
    )
    nodes_own = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    theirs = nodes_own | variables(ResourcesConfig(cpus_per_trial=2))
    subprocess.run([sys.executable, "-c", code], env=theirs, check=True)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"workers": 2}, r"cpus_per_trial must be a multiple of workers \(2\), got 1"),
        ({"workers": 2, "cpus_per_trial": 3}, r"must be a multiple of workers \(2\), got 3"),
        (
            {"workers": 2, "cpus_per_trial": 2, "gpus_per_trial": 1},
            r"gpus_per_trial must be 0 or 2 with workers 2, got 1",
        ),
        (
            {"workers": 2, "cpus_per_trial": 2, "gpus_per_trial": 4},
            r"a worker trains on one GPU: gpus_per_trial must be 0 or 2 with workers 2, got 4",
        ),
        ({"gpus_per_trial": 2}, r"must be 0 or 1 or a fraction with workers 1, got 2"),
        ({"workers": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_shared_is_refused(resources: dict[str, float], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ResourcesConfig.model_validate(resources)


def test_workers_talk_where_nodes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    meet_through("203.0.113.7")  # of no interface: an address for documentation
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "mine")
    meet_through("127.0.0.1")
    assert os.environ["GLOO_SOCKET_IFNAME"] in {name for _, name in socket.if_nameindex()}
    assert os.environ["NCCL_SOCKET_IFNAME"] == "mine"
