"""What the process of a worker is given by its environment: it follows from its resources."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from tuner.study.parts import ResourcesConfig

INTERFACE_ADDRESS = 0x8915
"""Linux's SIOCGIFADDR: the IPv4 address of a network interface."""


def variables(resources: ResourcesConfig) -> dict[str, str]:
    """The environment variables of every worker of a study.

    - OMP_NUM_THREADS, MKL_NUM_THREADS: a thread for each of its cores, also where a node's own
      environment says otherwise; torch reads them when it is imported.
    - HF_HUB_OFFLINE: a worker is handed all that it needs. transformers and datasets heed it too.
    - TOKENIZERS_PARALLELISM: what is tokenised is so already, and pools of threads would only warn
      that the process was forked.

    NCCL needs none: with torch 2.13 a worker is ended where another is lost. Which interface it
    talks through is a matter of the node: `meet_through`.
    """
    threads = str(resources.threads)
    return {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def meet_through(address: str) -> None:
    """Let workers on several nodes talk through the interface by which Ray's nodes do.

    By themselves gloo takes the one to which the host's name leads, often the loopback, and NCCL
    the first, often a bridge of containers. What the user's environment says stays.

    Args:
        address: this node's in the cluster, IPv4; where no interface has it, nothing is set.
    """
    if interface := _interface(address):
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, interface)


def _interface(address: str) -> str | None:
    """The network interface that has an address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asked.fileno(), INTERFACE_ADDRESS, request)
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
