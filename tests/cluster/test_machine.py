"""CPUs that a process may use, by made-up trees of /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tuner.cluster import machine


@pytest.fixture(autouse=True)
def _large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(128)))


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_without_limits_all_are_there(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert machine.cpus(root, {}) == (128, "")
    assert machine.cpus(tmp_path / "none", {}) == (128, "")


def test_an_affinity_of_eight_is_eight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(40, 48)))
    assert machine.cpus(tmp_path, {}) == (8, "affinity")


@pytest.mark.parametrize(
    ("limit", "count"), [("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_a_quota_of_version_2(tmp_path: Path, limit: str, count: int) -> None:
    files = {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": f"{limit}\n"}
    assert machine.cpus(write(tmp_path, files), {}) == (count, "cgroup quota")


def test_a_quota_above_the_own_cgroup_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/slurm/job_1/step_0\n",
        "sys/fs/cgroup/slurm/job_1/step_0/cpu.max": "max 100000\n",
        "sys/fs/cgroup/slurm/job_1/cpu.max": "800000 100000\n",
    }
    assert machine.cpus(write(tmp_path, files), {}) == (8, "cgroup quota")


def test_a_quota_of_version_1(tmp_path: Path) -> None:
    cpu = "sys/fs/cgroup/cpu,cpuacct"
    files = {
        "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
        f"{cpu}/cpu.cfs_quota_us": "600000\n",  # the container sees its own as the mount
        f"{cpu}/cpu.cfs_period_us": "100000\n",
    }
    assert machine.cpus(write(tmp_path, files), {}) == (6, "cgroup quota")
    files = {f"{cpu}/cpu.cfs_quota_us": "-1\n"}
    assert machine.cpus(write(tmp_path, files), {}) == (128, "")


def test_a_share_that_slurm_does_not_bind(tmp_path: Path) -> None:
    assert machine.cpus(tmp_path, {"SLURM_CPUS_ON_NODE": "8"}) == (8, "SLURM")
    assert machine.cpus(tmp_path, {"SLURM_CPUS_ON_NODE": "x", "SLURM_CPUS_PER_TASK": "1"})[0] == 128


def test_the_least_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1200000 100000\n"}
    assert machine.cpus(write(tmp_path, files), {"SLURM_CPUS_ON_NODE": "14"}).number == 12


def test_memory_of_a_job_below_the_top_of_the_hierarchy(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/slurm/job_1/step_0\n",
        "sys/fs/cgroup/slurm/job_1/step_0/memory.max": "max\n",
        "sys/fs/cgroup/slurm/job_1/memory.max": f"{8 * 2**30}\n",
    }
    assert machine.memory(write(tmp_path, files)) == 8 * 2**30


def test_memory_that_is_not_limited(tmp_path: Path) -> None:
    assert machine.memory(tmp_path) is None
    files = {
        "proc/self/cgroup": "3:memory:/user\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert machine.memory(write(tmp_path, files)) is None
    files = {"sys/fs/cgroup/memory/user/memory.limit_in_bytes": "1000000000\n"}
    assert machine.memory(write(tmp_path, files)) == 1_000_000_000
