"""Idle workers of a local Ray load libraries before they get a trial, some at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import SETTINGS
from tuner.cluster.environment import loading_ahead
from tuner.study.file import validate_study

CODE = """
import sys
from tuner.run.turn import turn
with turn(int(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


def waiting(places: int) -> subprocess.Popen[str]:
    """A process that takes a place, and keeps it until its input is closed."""
    command = [sys.executable, "-c", CODE, str(places)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)


@pytest.mark.parametrize("places", [1, 2])
def test_so_many_are_in_at_once_and_a_killed_one_leaves_its_place(places: int) -> None:
    processes = [waiting(places) for _ in range(places)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "in\n"
    late = waiting(places)
    assert late.stdout is not None
    with pytest.raises(subprocess.TimeoutExpired):
        late.wait(0.5)
    processes[0].kill()
    assert late.stdout.readline() == "in\n"
    for process in (*processes, late):
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("settings", "cpus", "ahead"),
    [
        ({}, 2, True),
        ({"budget": {"trials": 1, "pairs_per_trial": 900}}, 2, False),
        ({"resources": {"max_concurrent_trials": 1}}, 2, False),
        ({"resources": {"max_concurrent_trials": 2}}, 2, True),
        ({"resources": {"cpus_per_trial": 2}}, 4, False),
        ({"resources": {"gpus_per_trial": 1}}, 2, False),
        ({"resources": {"workers": 2, "cpus_per_trial": 2}}, 4, False),
    ],
)
def test_they_load_where_each_will_get_a_trial(
    settings: dict[str, Any], cpus: int, ahead: bool, tmp_path: Path
) -> None:
    study = validate_study({**SETTINGS, **settings, "storage": str(tmp_path)}, "the test")
    assert bool(loading_ahead(study, cpus)) == ahead


PROBE = """
import json, sys
from pathlib import Path
from rich.console import Console
from tuner.cluster.ray import cluster
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
study = load_study(Path(sys.argv[1]), [f"storage={sys.argv[2]}"])
with cluster(ConsoleProgress(Console(file=sys.stderr)), study, lambda: None):
    import ray
    @ray.remote(num_cpus=1, runtime_env={"env_vars": {}})
    class Probe:
        def loaded(self):
            import os, sys
            return "tuner.run.trainable" in sys.modules, os.environ["OMP_NUM_THREADS"]
    probes = [Probe.remote() for _ in range(int(ray.cluster_resources()["CPU"]))]
    print(json.dumps(ray.get([probe.loaded.remote() for probe in probes])))
"""


@pytest.mark.slow
def test_a_trials_process_has_loaded_its_libraries(place: Path) -> None:
    """Ray gives a trial a process that it started before: both have no variables of their own."""
    nano = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"
    command = [sys.executable, "-c", PROBE, str(nano), str(place / "studies")]
    (place / "ray").mkdir()
    environment = {**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place / "ray")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found and all(each == [True, "1"] for each in found)
