"""The end of MLflow's server, whatever signals come meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tuner.interrupts import SIGNALS, as_ctrl_c
from tuner.tracking.server import _end_group


@pytest.mark.parametrize("number", SIGNALS)
def test_no_further_signal_leaves_it_running(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import time\nwhile True: time.sleep(0.01)"
    server = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    waiting = server.wait

    def wait(seconds: float | None = None) -> int:
        signal.raise_signal(number)
        return waiting(seconds)

    monkeypatch.setattr(server, "wait", wait)
    with as_ctrl_c():
        before = [signal.getsignal(each) for each in SIGNALS]
        try:
            _end_group(server)
        finally:
            server.kill()
        assert [signal.getsignal(each) for each in SIGNALS] == before
    assert waiting() == -signal.SIGTERM
