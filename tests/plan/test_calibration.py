"""The processes in which a plan times a few steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from tuner.interrupts import SIGNALS

pytestmark = pytest.mark.integration

MEASURING = """
    from functools import partial
    from tuner.plan.calibration import side_by_side
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    try:
        side_by_side(partial(exec, code, {}), 1)
    except KeyboardInterrupt:
        print("left", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_plan_and_with_nothing_else(number: int) -> None:
    """A Ctrl-C, which a terminal sends to all, is the plan's to answer."""
    command = [sys.executable, "-c", dedent(MEASURING)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as plan:
        assert plan.stdout is not None
        measuring = int(plan.stdout.readline())
        for ignored in SIGNALS:
            os.kill(measuring, ignored)
        plan.send_signal(number)
        # The pipe is its too: this returns when it has ended.
        said = plan.communicate(timeout=60)[0].decode()
    assert "Traceback" not in said
    if number != signal.SIGKILL:
        assert (plan.returncode, said) == (0, "left\n")
