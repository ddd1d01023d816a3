"""The process that starts a local Ray: its share of the machine, and a start that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from ray._common import utils as common
from ray._private import services, utils

from tests.waiting import until
from tuner.cluster.local_head import _has_ended, shares
from tuner.cluster.local_ray import HEAD

pytestmark = pytest.mark.integration

GB = 10**9


@pytest.mark.parametrize(
    ("limit", "machine", "shared", "store"),
    [
        (64 * GB, 128 * GB, 64 * 10**6, 10 * GB),
        (64 * GB, 128 * GB, 64 * GB, 19.2 * GB),
        (64 * GB, 128 * GB, 12 * GB, 11.4 * GB),
        (8 * GB, 128 * GB, 64 * 10**6, 2.4 * GB),
        (10**15, 8 * GB, 4 * GB, 2.4 * GB),
        (200 * 10**6, 8 * GB, 4 * GB, 75 * 2**20),
    ],
)
def test_ray_takes_the_store_that_it_is_given(
    limit: int,
    machine: int,
    shared: int,
    store: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(common, "get_system_memory", lambda: machine)
    monkeypatch.setattr(utils, "get_shared_memory_bytes", lambda: shared)
    monkeypatch.delenv("RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE", raising=False)
    trials, given = shares(limit)
    assert given == pytest.approx(store)
    assert trials + given == min(limit, machine)
    services.determine_plasma_store_config(given, str(tmp_path))


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_a_start_that_cannot_succeed_is_given_up(name: str, place: Path) -> None:
    """Ray's own code would wait for them for a minute. Its logs are left, and no process."""
    asked = json.dumps({"folder": str(place), "cpus": 1, "memory": None})
    with subprocess.Popen(
        [sys.executable, "-P", str(HEAD), asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as head:
        assert head.stdout is not None
        process, below = psutil.Process(head.pid), []

        def killed() -> bool:
            below[:] = process.children(recursive=True)
            found = [each for each in below if each.name() == name]
            for each in found:
                each.kill()
            return bool(found)

        until(killed)
        said = json.loads(head.stdout.readline())
        assert said["failed"] == f"{name} has ended while Ray was starting"
        head.communicate()
    assert Path(said["logs"]).is_dir()
    until(lambda: all(_has_ended(each) for each in below))
