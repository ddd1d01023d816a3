"""The CPUs and memory that this process may use, often less than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import NamedTuple

SLURM = "SLURM_CPUS_ON_NODE"
"""Environment variable with the CPUs that SLURM gave the job on this node. Where SLURM binds
processes, the affinity is the same number; where it does not, only this variable shows that a job
has 8 CPUs of a node's 128. SLURM_CPUS_PER_TASK would be wrong: a job of eight tasks with one CPU
each holds eight CPUs and runs one driver."""

NO_LIMIT = 2**62
"""Bytes above which a limit means none: cgroup version 1 writes about 2 ** 63 for no limit."""


class Cpus(NamedTuple):
    """The number of usable CPUs, and what limits it; `limit` is empty if nothing does."""

    number: int
    limit: str


def cpus(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> Cpus:
    """Return how many CPUs this process may use: the least of affinity, cgroup and SLURM share.

    The number is rounded down to whole CPUs and is at least one.

    Args:
        root: the folder that holds proc and sys.
        environment: the environment, with SLURM's variables in a SLURM job.
    """
    all_ = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else all_
    limits = {"affinity": float(allowed), "cgroup quota": quota(root)}
    if environment.get(SLURM, "").isdecimal():
        limits["SLURM"] = float(environment[SLURM])
    by, least = min(limits.items(), key=lambda limit: limit[1])
    return Cpus(max(1, int(least)), by if least < all_ else "")


def memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process's cgroups allow; None if they set no limit.

    Ray reads only the top of the hierarchy, which is right in a container and wrong in a SLURM job
    or a systemd service.
    """
    least = min((_memory(folder) for folder in _cgroups(root, "memory")), default=inf)
    return int(least) if least < NO_LIMIT else None


def quota(root: Path = Path("/")) -> float:
    """Return the CPUs that this process's cgroup quotas allow; infinite if they set no limit."""
    return min((_share(folder) for folder in _cgroups(root, "cpu")), default=inf)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups for a controller, and of all their parents."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers  # empty in version 2
        # A container may see its cgroup's path on the host; then only the mount exists here.
        inside = mount / path.strip("/")
        yield from (folder for folder in (inside, *inside.parents) if folder.is_relative_to(mount))


def _share(folder: Path) -> float:
    """Return the CPUs that one cgroup allows, in version 2 or else version 1."""
    limit, _, period = _word(folder / "cpu.max").partition(" ")
    if not limit:
        limit, period = _word(folder / "cpu.cfs_quota_us"), _word(folder / "cpu.cfs_period_us")
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() else inf


def _memory(folder: Path) -> float:
    """Return the bytes that one cgroup allows, in version 2 or else version 1."""
    limit = _word(folder / "memory.max") or _word(folder / "memory.limit_in_bytes")
    return int(limit) if limit.isdecimal() else inf


def _word(path: Path) -> str:
    """Return the content of a cgroup file; empty if it is missing."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
