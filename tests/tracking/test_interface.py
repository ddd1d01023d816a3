"""`tuner ui`: MLflow's pages on the studies' store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.tracking.examples import PASSWORD, Told, study, tell, trial, until_idle
from tests.tracking.stores import Store
from tuner.errors import UserError
from tuner.tracking import BackgroundTracker, Tracker, default_uri, serve


def test_the_interface_says_what_it_cannot_do(tmp_path: Path) -> None:
    announced: list[tuple[str, str]] = []

    def announce(address: str, view: str) -> None:
        announced.append((address, view))

    serve(f"http://somebody:{PASSWORD}@host:5000/mlflow", tmp_path, 5000, announce)
    assert announced == [("http://***@host:5000/mlflow", "")]
    with pytest.raises(UserError, match="no MLflow store") as told:
        serve(default_uri(tmp_path), tmp_path, 5000, announce)
    assert "--storage" in told.value.remedy
    (tmp_path / "mlflow.db").touch()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UserError, match="Address already in use") as told,
    ):
        serve(default_uri(tmp_path), tmp_path, taken.getsockname()[1], announce)
    assert "--port" in told.value.remedy


@pytest.fixture
def interface(store: Store) -> Iterator[tuple[subprocess.Popen, str]]:
    """`tuner ui`'s part of it, in a process of its own."""
    code = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from tuner.tracking import serve\n"
        "serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), partial(print, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, store.uri, str(store.folder), str(free_port())]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.mark.integration
@pytest.mark.usefixtures("no_pause")
def test_through_a_server_that_is_ended_in_between(
    store: Store, interface: tuple[subprocess.Popen, str], capfd: pytest.CaptureFixture[str]
) -> None:
    process, url = interface
    assert url.startswith("http://127.0.0.1:")
    uri = url.replace("//", f"//somebody:{PASSWORD}@")
    whole = study(trial(0), trial(1, "pruned", (1000,)), state="completed", reason=f"at {uri}")
    behind = BackgroundTracker(uri, "demo", Told())
    behind.study_started(study())
    tell(behind, whole.trials)
    behind.study_ended(whole)
    assert behind.close() == []
    parent, *children = store.runs()
    assert [child.data.tags["tuner.state"] for child in children] == ["completed", "pruned"]
    assert parent.info.status == "FINISHED"
    seen = store.rows()
    Tracker(uri, "demo").sync(whole)
    assert store.rows() == seen
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert {"mlflow.db", "study.yaml"} <= {path.name for path in files}
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []

    later = BackgroundTracker(uri, "demo", Told())
    later.study_started(whole)
    until_idle(later)
    (group,) = (int(pid) for pid in children_of(process.pid))
    assert members(group)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert members(group) == []
    later.trial_started(trial(2, "running", ()))
    later.study_ended(whole)
    what, why, _ = later.close()
    assert "lacks part" in what
    assert PASSWORD not in why
    said = capfd.readouterr()
    assert said.out + said.err == ""


def members(group: int) -> list[str]:
    """Processes of a group, by name; zombies do not count."""
    shown = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True)
    lines = (line.split(None, 2) for line in shown.stdout.splitlines())
    return [line[2] for line in lines if int(line[0]) == group and line[1][0] != "Z"]


def children_of(pid: int) -> list[str]:
    shown = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return shown.stdout.split()
