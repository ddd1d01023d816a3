"""This machine as the only node of a cluster: its CPUs, GPUs and memory, counted without Ray.

Ray counts the same when it starts, seconds later.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tuner.cluster.address import configured_address
from tuner.cluster.capacity import Capacity, NodeType
from tuner.cluster.machine import cpus, memory
from tuner.model.shape import EncoderShape
from tuner.run.disk import check_space
from tuner.study import StudyConfig

NVML = "libnvidia-ml.so.1"
"""NVIDIA's library that counts GPUs; it comes with the driver."""
ROCM = Path("/dev/kfd")
"""AMD's driver."""


def check_machine(study: StudyConfig, shape: EncoderShape) -> None:
    """Refuse a study if this machine cannot hold one of its trials, or its disk would fill.

    With RAY_ADDRESS the study runs on a cluster, and nothing is checked.

    Raises:
        UserError: the machine has too few resources or too little disk space.
    """
    if configured_address() is None:
        check_space(study, shape, this_machine(study).trials_at_once(study.resources))


def this_machine(study: StudyConfig) -> Capacity:
    """Return this process's CPUs, and its GPUs if the study's trials ask for any."""
    gpus = gpus_here() if study.resources.gpus_per_trial > 0 else 0
    return Capacity((NodeType("this machine", cpus().number, gpus, alive=1, most=1),))


def memory_here() -> float:
    """Return the bytes of memory that this machine has, or this process's cgroups allow."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(total, memory() or total)


def gpus_here() -> int:
    """Return the number of GPUs that this process may use."""
    if ROCM.exists():
        from torch.cuda import device_count  # late, since torch takes seconds to import

        return device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    most = None if visible is None else len([each for each in visible.split(",") if each.strip()])
    if visible in ("-1", "NoDevFiles") or most == 0:
        return 0
    return _counted_by_nvml() if most is None else min(most, _counted_by_nvml())


def _counted_by_nvml() -> int:
    try:
        library = ctypes.CDLL(NVML)
    except OSError:  # there is no driver
        return 0
    count = ctypes.c_uint(0)
    if library.nvmlInit_v2():  # there is a driver, but no GPU answers
        return 0
    try:
        failed = library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    finally:
        library.nvmlShutdown()
    return 0 if failed else count.value
