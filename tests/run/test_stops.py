"""Whole studies that somebody or something ends: every signal, to one or to all, and Ray's end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from tests.processes import SMOKE, Command, finish, record, runs_in_mlflow, wait_for
from tests.waiting import PATIENCE, until
from tuner.journal.journal import FILE
from tuner.journal.records import Evaluation, StudyRecord
from tuner.run.prepare import prepare
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PATIENT = (
    "-c",
    f"""
from tuner.cli import supervised

supervise = supervised.supervise

def patient():
    supervise()
    from tuner.run import parting
    parting.PARTING_SECONDS = {PATIENCE}

supervised.supervise = patient
from tuner.cli import start
start()
""",
)
"""Tuner that waits for last checkpoints on a busy machine, too."""
LONG = ["--set", "budget.trials=2", "--set", "budget.pairs_per_trial=12800"]
"""Longer than it takes to stop it."""


def events(place: Path, kind: str) -> list[dict[str, Any]]:
    lines = (place / "studies" / "smoke" / FILE).read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def processes_of_ray(place: Path, title: str) -> list[int]:
    """Those of the Ray that was started in `place` whose command line matches."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
            environment = (process / "environ").read_bytes()
        except OSError:  # it has gone
            continue
        if re.search(title.encode(), command) and os.fsencode(f"HOME={place}") in environment:
            found.append(int(process.name))
    return found


def all_gone(place: Path) -> None:
    """Wait for all processes of the study to end."""
    until(lambda: not processes_of_ray(place, ""), "the end of all processes", every=0.1)


def assert_in_order(place: Path, code: int, printed: str) -> None:
    """Exit code 130, the line that goes on, nothing counted as a failure, and nothing left over."""
    assert code == 130, printed
    assert "resume smoke" in printed.splitlines()[-1], printed
    assert "Traceback" not in printed
    study = record(place)
    assert study.state == "interrupted"
    assert not any(trial.failures for trial in study.trials)
    assert {trial.state for trial in study.trials} <= {"interrupted", "pending", "completed"}
    all_gone(place)


def test_a_signal_to_the_process_group_ends_it_in_order(tuner: Command, place: Path) -> None:
    """Ctrl-C in a terminal; resumed, each trial is what it would be by itself.

    Other signals are those of the tests below.
    """
    process = tuner("search", str(SMOKE), *LONG, program=PATIENT)
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, process)
    os.killpg(process.pid, signal.SIGINT)
    code, printed = finish(process)
    assert_in_order(place, code, printed)
    stopped = {trial.number: trial for trial in record(place).trials}
    _, children = runs_in_mlflow(place)
    assert "KILLED" in {run.info.status for run in children}

    code, printed = finish(tuner("resume", "smoke"))
    assert code == 0, printed
    study = record(place)
    assert study.state == "completed" and len(study.trials) == 2
    backwards = reversed(events(place, "trial_restored"))  # a candidate is restored again later
    restored = {event["number"]: event["pairs_seen"] for event in backwards}
    for number, trial in stopped.items():
        if trial.state == "interrupted":
            assert restored[number] == trial.pairs_seen >= trial.evaluations[-1].pairs_seen
    assert not any(trial.repeated_pairs for trial in study.trials), "none is trained twice"
    _, children = runs_in_mlflow(place)
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED"]
    assert [scores(trial.evaluations) for trial in study.trials] == [
        whole[: len(trial.evaluations)]
        for trial, whole in zip(study.trials, undisturbed(study), strict=True)
    ]


def scores(evaluations: Sequence[Evaluation]) -> list[tuple[int, float, float]]:
    """Return the evaluations, without clocks."""
    return [(e.rung, e.objective, e.train_loss) for e in evaluations]


def undisturbed(study: StudyRecord) -> list[list[tuple[int, float, float]]]:
    """Return the scores of a study's trials, trained here in one piece."""
    settings = load_study(SMOKE, [word for word in LONG if word != "--set"])
    inputs = prepare(settings, ConsoleProgress(Console(quiet=True))).inputs
    trained = [train(t.config, settings.rungs, inputs, torch.device("cpu")) for t in study.trials]
    return [scores([e for e in events if isinstance(e, Evaluation)]) for events in trained]


def test_a_signal_to_each_of_its_processes_ends_it_in_order(tuner: Command, place: Path) -> None:
    """systemd and batch systems send a signal to all processes of a unit, also to Ray's own."""
    process = tuner("search", str(SMOKE), *LONG, program=PATIENT)
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, process)
    for number in processes_of_ray(place, ""):
        os.kill(number, signal.SIGTERM)
    code, printed = finish(process)
    assert_in_order(place, code, printed)


def test_timeout_ends_it_in_order(place: Path) -> None:
    """It signals the process and then its group, and so the process twice."""
    environment = {**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place)}
    process = subprocess.Popen(
        ["timeout", "1000", sys.executable, *PATIENT, "search", str(SMOKE), *LONG],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 1, process)
    process.send_signal(signal.SIGTERM)  # what its alarm does
    _, printed = finish(process)
    assert "stopped at once" not in printed
    assert_in_order(place, 130, printed)


def test_a_terminal_that_is_closed_ends_it_in_order(place: Path) -> None:
    """Though nothing can be said any more."""
    environment = {**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place), "TERM": "xterm"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place)
        arguments = [sys.executable, *PATIENT, "search", str(SMOKE), *LONG]
        os.execve(sys.executable, arguments, environment)

    class Shown:
        """The output is read, or the terminal would fill."""

        def poll(self) -> None:
            os.set_blocking(terminal, False)
            try:
                while os.read(terminal, 65536):
                    pass
            except BlockingIOError:
                return

    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, Shown())
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    study = record(place)
    assert study.state == "interrupted" and not any(trial.failures for trial in study.trials)
    all_gone(place)


@pytest.mark.parametrize(
    ("title", "why"),
    [("gcs_server", "its GCS has ended"), ("raylet/raylet", "its raylet has ended")],
    ids=["gcs", "raylet"],
)
def test_the_end_of_ray_is_noticed_and_no_trials_failure(
    tuner: Command, place: Path, title: str, why: str
) -> None:
    process = tuner("search", str(SMOKE), *LONG, program=PATIENT)
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, process)
    (number,) = processes_of_ray(place, f"/{title} ")
    os.kill(number, signal.SIGKILL)
    code, printed = finish(process)
    assert_in_order(place, code, printed)
    assert f"Ray has ended: {why}" in printed.splitlines()
    assert record(place).reason == f"Ray has ended: {why}"


RAYLET_GONE = (
    "-c",
    """
import os, time
import psutil
from tuner.cli import supervised

supervise = supervised.supervise

def doomed():
    supervise()
    import ray
    put = ray.put

    def put_too_late(*arguments, **named):
        home, seen = os.environ["HOME"], ["name", "environ"]
        for process in psutil.process_iter(seen):
            if process.info["name"] == "raylet" and process.info["environ"].get("HOME") == home:
                process.kill()
        time.sleep(0.05)  # less than until the driver looks again
        return put(*arguments, **named)

    ray.put = put_too_late

supervised.supervise = doomed
from tuner.cli import start
start()
""",
)
"""Tuner whose raylet ends just before something is stored: Ray's code ends the process then."""


def test_a_driver_that_ray_ends_is_spoken_for(tuner: Command, place: Path) -> None:
    code, said = finish(tuner("search", str(SMOKE), program=RAYLET_GONE))
    assert code == 130 and "tuner resume smoke" in said.splitlines()[-1], said
    code, said = finish(tuner("resume", "smoke"))
    assert code == 0 and record(place).state == "completed", said
