"""Searches that start a Ray of their own: what hinders it is one message."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.cluster.examples import SECONDS
from tests.ports import free_port
from tests.processes import SMOKE
from tests.waiting import until
from tuner.cluster import local_ray

pytestmark = pytest.mark.integration
SLOW = """
import sys
import time
from tuner.cli import start
from tuner.cluster import joining, local_ray

{limit}
start()
"""
MODULE = [sys.executable, "-m", "tuner"]


def run(place: Path, program: Sequence[str], *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code of a search in `place`, and all that it printed."""
    (place / "ray").mkdir(exist_ok=True)
    own = {"HOME": str(place), "RAY_TMPDIR": str(place / "ray")}
    ended = subprocess.run(
        [*program, "search", str(SMOKE), "--set", "budget.trials=1", *arguments],
        cwd=place,
        env={**os.environ, **own, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        timeout=2 * SECONDS,
    )
    return ended.returncode, ended.stdout


@pytest.mark.slow
def test_files_of_the_current_folder_are_not_imported(place: Path) -> None:
    """A `tuner.py`, or one with a library's name, beside a user's YAML is the user's own."""
    for name in ("tuner", "torch", "random", "ray"):
        (place / f"{name}.py").write_text(f"raise SystemExit('a stranger: {name}')")
    program = str(Path(sys.executable).parent / "tuner")
    code, printed = run(place, [program])
    assert code == 0, printed
    (place / "tuner.py").unlink()  # which `-m` takes, as Python documents
    code, printed = run(place, MODULE, "--set", "name=again")
    assert code == 0, printed
    assert list((place / "ray").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RAY_TMPDIR": "/tmp/" + "longer" * 20}, "bytes long"),
        ({"RAY_TMPDIR": "", "TMPDIR": "/tmp/" + "longer" * 20}, "bytes long"),
        ({"RAY_TMPDIR": "/dev/null"}, "RAY_TMPDIR=/dev/null cannot be written"),
        ({"RAY_ADDRESS": "http://127.0.0.1:8265"}, "the address of a dashboard"),
        ({"RAY_ADDRESS": "127.0.0.1:{port}"}, "no Ray cluster answers at"),
        ({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE=disabled turns Ray's tokens off"),
    ],
)
def test_what_hinders_ray_is_one_message(variables: dict[str, str], said: str, place: Path) -> None:
    port = free_port()
    set_ = {name: value.format(port=port) for name, value in variables.items()}
    code, printed = run(place, MODULE, **set_)
    assert code == 2 and said in printed, printed
    assert "Traceback" not in printed
    assert {path.name for path in place.iterdir()} == {"ray"}
    assert list((place / "ray").iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "said", "keeps_logs"),
    [
        (
            "local_ray.START_SECONDS = 0.2",
            "Ray does not start on this machine: it did not start within",
            False,
        ),
        (
            "joining.JOIN_SECONDS = 0.2; joining.ray.init = lambda **options: time.sleep(1000)",
            "did not accept this process within",
            True,
        ),
    ],
)
def test_a_ray_that_takes_too_long_is_one_message_and_ends(
    limit: str, said: str, keeps_logs: bool, place: Path
) -> None:
    """A machine may have too much to do."""
    code, printed = run(place, [sys.executable, "-c", SLOW.format(limit=limit)])
    assert code == 2 and printed.count("error: ") == 1, printed
    problem, remedy, *_ = printed.partition("error: ")[2].splitlines()
    assert said in problem
    assert remedy.startswith("Run it again when ") and "is less busy" in remedy
    assert "Traceback" not in printed
    assert not (place / "studies" / "smoke").exists()
    ray = place / "ray"
    until(lambda: not with_argument(str(ray)), "the end of Ray's processes")
    logs = {Path(remedy.rpartition(" ")[2])} if keeps_logs else set()
    assert set(ray.glob("*/*/session/logs")) == logs
    assert len(list(ray.iterdir())) == len(logs)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("Exception: The current node timed out during startup.", "Run it again when"),
        ("it did not start within 180 s", "Run it again when"),
        ("raylet has ended while Ray was starting", "Run it again when"),
        ("RpcError: RPC error: Deadline Exceeded", "Run it again when"),
        ("OSError: [Errno 28] No space left on device", "Free space in /tmp"),
        ("ModuleNotFoundError: tuner is not installed for this Python", "Install it: pip install"),
        ("RuntimeError: of another kind", "`tuner doctor` checks what Ray needs here"),
    ],
)
def test_each_reason_has_a_remedy_of_its_own(
    reason: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    refused = local_ray._failed({"failed": reason, "logs": "/logs"}, io.BytesIO())
    assert refused.problem == f"Ray does not start on this machine: {reason}"
    assert refused.remedy.startswith(remedy)


def with_argument(part: str) -> list[int]:
    """Return the processes that have a text in one of their arguments."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if part in " ".join(each.info["cmdline"] or ())]
