"""Environment variables of worker processes, derived from a study's resources."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig

INTERFACE_ADDRESS = 0x8915
"""Linux's SIOCGIFADDR: the IPv4 address of a network interface."""


def variables(resources: ResourcesConfig) -> dict[str, str]:
    """Return the environment variables of every worker of a study.

    - OMP_NUM_THREADS, MKL_NUM_THREADS: one thread for each of the worker's cores, overriding the
      node's own environment; torch reads them when it is imported.
    - HF_HUB_OFFLINE: a worker is given all files that it needs. transformers and datasets also
      obey this variable.
    - TOKENIZERS_PARALLELISM: the data are tokenised already, and thread pools would only warn that
      the process was forked.

    NCCL needs no variable here: with torch 2.13 a worker ends when another is lost. Its network
    interface depends on the node: see `meet_through`.
    """
    threads = str(resources.threads)
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def loading_ahead(study: StudyConfig, cpus: int) -> dict[str, str]:
    """Return the variables that make idle processes of a local Ray load libraries ahead of trials.

    Ray starts as many as it has CPUs, so they do it only where each of them will get a trial.

    Args:
        study: the study that will run there.
        cpus: CPUs of the local Ray.
    """
    resources = study.resources
    at_once = min(resources.max_concurrent_trials or cpus, study.trials)
    each_gets_one = (
        sys.platform == "linux"
        and resources.cpus_per_trial == 1
        and resources.gpus_per_trial == 0
        and at_once >= cpus
    )
    return {"RAY_preload_python_modules": "tuner.run.preload"} if each_gets_one else {}


def meet_through(address: str) -> None:
    """Make workers on several nodes communicate over the network interface that Ray uses.

    By default, gloo uses the interface that the host name resolves to, often the loopback, and
    NCCL uses the first one, often a container bridge. Variables that the user has set stay.

    Args:
        address: this node's IPv4 address in the cluster; if no interface has it, nothing is set.
    """
    if interface := _interface(address):
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, interface)


def _interface(address: str) -> str | None:
    """Return the network interface with an IPv4 address, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asked.fileno(), INTERFACE_ADDRESS, request)
            except OSError:  # the interface has no IPv4 address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
