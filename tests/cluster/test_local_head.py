"""A local Ray's share of a machine: Ray starts with it, however small /dev/shm is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray._common import utils as common
from ray._private import services, utils

from tuner.cluster.local_head import shares

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
