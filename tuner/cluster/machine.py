"""What this process may use of its machine, which is often less than there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import NamedTuple

SLURM = "SLURM_CPUS_ON_NODE"
"""CPUs that SLURM gave the job on this node. Where SLURM binds processes, the affinity says the
same; where it does not, only this tells a job of 8 CPUs on a node of 128. Not SLURM_CPUS_PER_TASK:
a job of eight tasks with a CPU each holds eight, and runs one driver."""

MOST = 2**62
"""Bytes: a limit of version 1 is about 2 ** 63 where there is none."""


class Cpus(NamedTuple):
    """CPUs that may be used: how many, and what limits them; `limit` is empty for nothing."""

    number: int
    limit: str


def cpus(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> Cpus:
    """How many CPUs this process may use: the least of its affinity, cgroup and SLURM share.

    At least one; a part of a CPU does not count.

    Args:
        root: where /proc and /sys are.
        environment: has SLURM's variables in a job.
    """
    all_ = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else all_
    limits = {"affinity": float(allowed), "cgroup quota": quota(root)}
    if environment.get(SLURM, "").isdecimal():
        limits["SLURM"] = float(environment[SLURM])
    by, least = min(limits.items(), key=lambda limit: limit[1])
    return Cpus(max(1, int(least)), by if least < all_ else "")


def memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that the cgroups of this process allow; None where they do not limit it.

    Ray looks at the top of the hierarchy alone, which is right in a container and wrong in a job of
    SLURM or a service of systemd.
    """
    least = min((_memory(folder) for folder in _cgroups(root, "memory")), default=inf)
    return int(least) if least < MOST else None


def quota(root: Path = Path("/")) -> float:
    """CPU time per time that the cgroups of this process allow; infinite where they do not care."""
    return min((_share(folder) for folder in _cgroups(root, "cpu")), default=inf)


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the process's cgroups that a controller limits, and of those above: all count."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers  # version 2 has no name
        # A container may see the path that its cgroup has outside: then only the mount is there.
        inside = mount / path.strip("/")
        yield from (folder for folder in (inside, *inside.parents) if folder.is_relative_to(mount))


def _share(folder: Path) -> float:
    """The CPUs that one cgroup allows: of version 2, else of version 1."""
    limit, _, period = _word(folder / "cpu.max").partition(" ")
    if not limit:
        limit, period = _word(folder / "cpu.cfs_quota_us"), _word(folder / "cpu.cfs_period_us")
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() else inf


def _memory(folder: Path) -> float:
    """The bytes that one cgroup allows: of version 2, else of version 1."""
    limit = _word(folder / "memory.max") or _word(folder / "memory.limit_in_bytes")
    return int(limit) if limit.isdecimal() else inf


def _word(path: Path) -> str:
    """What a file of a cgroup says; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
