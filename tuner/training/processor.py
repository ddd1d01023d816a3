"""The name of the GPU or CPU that computes, recorded because it may explain differing scores."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
MAX_LENGTH = 100
"""Most characters of a name."""


def processor(device: torch.device) -> str:
    """Return a name such as `Intel(R) Xeon(R) Processor @ 2.70GHz` or `NVIDIA H200`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)[:MAX_LENGTH]
    return _cpu()


@cache
def _cpu() -> str:
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()[:MAX_LENGTH]
    return (platform.processor() or platform.machine())[:MAX_LENGTH]  # not Linux, or an ARM CPU
