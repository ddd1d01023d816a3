"""The address by which workers of a trial meet."""

from __future__ import annotations

import pytest

from tuner.run.workers import is_loopback

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.7", False),
        ("node-7.cluster.example", False),
    ],
)
def test_a_node_may_have_a_name_for_its_address(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback
