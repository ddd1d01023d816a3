"""A process that Ray's own code keeps in `ray.init` ends with a message."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = pytest.mark.integration

STUCK = """
    import socket
    import threading
    import ray
    from tuner.cluster import joining

    gcs = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{{gcs.getsockname()[1]}}"

    def stuck(**options):
        if {closes}:
            gcs.close()
        threading.Event().wait()

    ray.init = stuck
    joining.JOIN_SECONDS = {seconds}
    head = joining.Known(address, {here}, "/the/logs", lambda: print("logs kept", flush=True))
    with joining.joined(head, {{}}):
        print("joined")
"""


@pytest.mark.parametrize(
    ("closes", "here", "seconds", "why"),
    [
        (True, True, 180, "has ended: its GCS"),
        (False, True, 1, "did not accept this process within 1 s"),
        # A network may fail for a moment: only time counts there.
        (True, False, 1, "did not accept this process within 1 s"),
    ],
)
def test_it_ends_with_a_message_and_the_logs_stay(
    closes: bool, here: bool, seconds: int, why: str
) -> None:
    code = dedent(STUCK).format(closes=closes, here=here, seconds=seconds)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "logs kept\n"), ended.stderr
    assert ended.stderr.startswith("error: Ray at 127.0.0.1:") and why in ended.stderr
    assert "Run it again" in ended.stderr and ended.stderr.endswith("/the/logs\n")
