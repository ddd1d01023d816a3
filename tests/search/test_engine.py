"""Whole studies through the command line, on a real Ray of their own, with a real MLflow store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuner.records import StudyRecord
from tuner.search.journal import FILE, read_history

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"

Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder with a short name: Ray's sockets live below it, and their paths are short."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def tuner(place: Path) -> Iterator[Command]:
    """Starts `tuner …` in a session of its own, with its own HOME and temporary folder."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "HOME": str(place), "RAY_TMPDIR": str(place / "ray")}
    (place / "ray").mkdir()

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner", *arguments],
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and all that was printed."""
    printed, _ = process.communicate(timeout=200)
    return process.returncode, printed


def record(place: Path, name: str = "smoke") -> StudyRecord:
    """The study as its journal has it."""
    return read_history(place / "studies" / name).record()


def wait_for(place: Path, what: Callable[[StudyRecord], bool], process: Any) -> None:
    """Until the journal says so."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (place / "studies" / "smoke" / FILE).exists() and what(record(place)):
            return
        time.sleep(0.1)
    raise AssertionError("the study did not come so far")


def runs_in_mlflow(place: Path) -> tuple[Any, list[Any]]:
    """The parent run, and its children by trial number."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place / 'studies' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tuner")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    return parent, sorted(children, key=lambda run: int(run.data.tags["tuner.trial"]))


STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


def scores(study: StudyRecord) -> dict[int, list[tuple[int, float]]]:
    """What a trial's evaluations say, without clocks."""
    return {
        t.number: [(e.rung, e.objective, e.train_loss) for e in t.evaluations]  # type: ignore[misc]
        for t in study.trials
    }


def test_a_study_to_its_end_and_what_it_leaves(tuner: Command, place: Path) -> None:
    code, printed = finish(tuner("search", str(SMOKE)))
    assert code == 0, printed
    study = record(place)
    assert study.state == "completed" and len(study.trials) == 4
    assert study.trials[0].origin == "baseline" and study.trials[0].state == "completed"
    assert "pruned" in {trial.state for trial in study.trials}
    assert "best configuration found (unconfirmed)" in printed and "tuner report smoke" in printed
    assert study.facts["claim"] in " ".join(printed.split())
    assert "Traceback" not in printed and "WARNING" not in printed and "\x1b" not in printed
    folder = place / "studies" / "smoke"
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"journal.jsonl"}, "checkpoints go with their trials"

    parent, children = runs_in_mlflow(place)
    assert parent.info.run_name == "smoke" and parent.info.status == "FINISHED"
    assert parent.data.tags["tuner.claim"] == study.facts["claim"]
    for trial, run in zip(study.trials, children, strict=True):
        assert run.info.status == STATUS[trial.state]
        assert run.data.tags["tuner.state"] == trial.state
        assert trial.last is not None
        assert run.data.metrics["select/objective"] == pytest.approx(trial.last.objective)
        assert float(run.data.params["optim.lr"]) == trial.config.optim.lr

    code, printed = finish(tuner("search", str(SMOKE)))
    assert code == 2 and "tuner resume smoke" in printed
    code, printed = finish(tuner("report", "smoke", "--json"))
    assert code == 0 and StudyRecord.model_validate_json(printed) == study


def test_interrupted_and_resumed(tuner: Command, place: Path) -> None:
    """SIGINT: exit 130, the trials go on from their checkpoints, nothing is trained twice."""
    longer = ["--set", "budget.pairs_per_trial=6400", "--set", "budget.trials=2"]
    first = tuner("search", str(SMOKE), *longer)
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, first)
    first.send_signal(signal.SIGINT)
    code, printed = finish(first)
    assert code == 130 and "tuner resume smoke" in printed
    before = record(place)
    assert before.state == "interrupted"
    assert "interrupted" in {trial.state for trial in before.trials}
    _, children = runs_in_mlflow(place)
    assert "KILLED" in {run.info.status for run in children}

    code, printed = finish(tuner("resume", "smoke"))
    assert code == 0, printed
    after = record(place)
    assert after.state == "completed" and len(after.trials) == 2
    assert all(trial.state in ("completed", "pruned") for trial in after.trials)
    for trial, earlier in zip(after.trials, before.trials, strict=False):
        assert trial.evaluations[: len(earlier.evaluations)] == earlier.evaluations
    _, children = runs_in_mlflow(place)
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED"]

    code, printed = finish(tuner("search", str(SMOKE), *longer, "--set", "name=whole"))
    assert code == 0, printed
    assert scores(after)[0] == scores(record(place, "whole"))[0], (
        "bit-equal to an uninterrupted one"
    )


def test_a_killed_worker_goes_on_from_its_checkpoint(tuner: Command, place: Path) -> None:
    """Ray starts the trial again elsewhere; known rungs are not trained or counted again."""
    one = ["--set", "budget.pairs_per_trial=6400", "--set", "budget.trials=1"]
    process = tuner("search", str(SMOKE), *one)
    wait_for(place, lambda s: any(len(t.evaluations) >= 2 for t in s.trials), process)
    workers = subprocess.run(
        ["pgrep", "-s", str(process.pid), "-f", "ray::.*TrialActor"], capture_output=True, text=True
    ).stdout.split()
    if not workers:  # Ray's processes may be in sessions of their own
        workers = subprocess.run(
            ["pgrep", "-f", "ray::.*TrialActor"], capture_output=True, text=True
        ).stdout.split()
        workers = [pid for pid in workers if str(place) in environment_of(pid)]
    assert len(workers) == 1
    os.kill(int(workers[0]), signal.SIGKILL)
    code, printed = finish(process)
    assert code == 0, printed
    (trial,) = record(place).trials
    assert trial.state == "completed" and trial.attempts == 2
    events = [json.loads(line) for line in (place / "studies/smoke" / FILE).open()]
    rungs = [e["evaluation"]["rung"] for e in events if e["event"] == "evaluated"]
    assert rungs == [400, 800, 1600, 3200, 6400]


def environment_of(pid: str) -> str:
    """Its environment as the system tells it; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def test_a_diverging_trial_fails_at_once_and_the_others_go_on(tuner: Command, place: Path) -> None:
    """A learning rate that blows up is a failed trial with its reason, not a failed study."""
    code, printed = finish(
        tuner("search", str(SMOKE), "--set", "space={optim.lr: 1e30}", "--set", "budget.trials=2")
    )
    assert code == 0, printed
    baseline, diverged = record(place).trials
    assert baseline.state == "completed"
    assert diverged.state == "failed" and diverged.attempts == 1
    assert "diverged at step" in diverged.reason
    _, children = runs_in_mlflow(place)
    assert [run.info.status for run in children] == ["FINISHED", "FAILED"]
    assert children[1].data.tags["tuner.state"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "missing.yaml"], "cannot read missing.yaml"),
        (["search", str(SMOKE), "--set", "budgt.trials=1"], "did you mean 'budget'"),
        (["search", str(SMOKE), "--set", "languages.target=[xx]"], "xx"),
        (
            ["search", str(SMOKE), "--set", "data={source: directory, path: nowhere}"],
            "no folder",
        ),
        (
            [
                "search",
                str(SMOKE),
                "--set",
                "space.fusion.layer={type: int, low: 0, high: 4, when: {fusion.kind: [dlfa]}}",
            ],
            "0 to 3",
        ),
        (["search", str(SMOKE), "--set", "tracking.uri=http://127.0.0.1:9"], "cannot be reached"),
        (["search", str(SMOKE), "--set", "resources.cpus_per_trial=4096"], "asks for 4096 CPU"),
        (["search", str(SMOKE), "--set", "encoder.name=./nothing"], "nothing"),
        (["resume", "nothing"], "there is no study nothing"),
        (["report", "nothing"], "there is no study nothing"),
        (["train", str(SMOKE), "--set", "trial.fusion.kind=dlfa"], "fusion.layer must be given"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_exit_with_2_and_leave_nothing(
    tuner: Command, place: Path, arguments: list[str], message: str
) -> None:
    """One clear message, no traceback, before anything starts."""
    code, printed = finish(tuner(*arguments))
    assert code == 2, printed
    assert message in printed and "Traceback" not in printed
    assert not (place / "studies").exists()
