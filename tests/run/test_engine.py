"""Whole studies through the command line, on a real Ray of their own, with a real MLflow store."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.processes import (
    SMOKE,
    Command,
    finish,
    record,
    runs_in_mlflow,
    wait_for,
    workers_of_trials,
)
from tuner.cli import main
from tuner.journal import snapshot
from tuner.journal.journal import FILE
from tuner.journal.records import StudyRecord

pytestmark = pytest.mark.integration

STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}


def test_a_study_to_its_end_and_what_it_leaves(tuner: Command, place: Path) -> None:
    """A learning rate that learns nothing gives ASHA a trial to stop; one that blows up gives a
    failed trial with its reason, not a failed study."""
    useless = ["--set", "space.optim.lr=[1e-9, 1e30]"]  # of all but the baseline
    code, printed = finish(tuner("search", str(SMOKE), *useless))
    assert code == 0, printed
    study = record(place)
    assert study.state == "completed" and len(study.trials) == 4
    assert study.trials[0].origin == "baseline" and study.trials[0].state == "completed"
    assert any(trial.to_the_end for trial in study.trials), "stopped, then a candidate"
    diverged = [trial for trial in study.trials if trial.config.optim.lr > 1]
    assert {(trial.state, trial.attempts) for trial in diverged} == {("failed", 1)}
    assert "diverged at step" in diverged[0].reason
    assert "Unconfirmed: of " in printed and "report smoke" in printed
    assert study.facts.claim in " ".join(printed.split())
    assert "Traceback" not in printed and "WARNING" not in printed and "\x1b" not in printed
    folder = place / "studies" / "smoke"
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    kept = [f"best/{trial.number:04d}" for trial in study.ranked()[:3]]
    weights = {f"{trial}/{name}" for trial in kept for name in ("model.safetensors", "trial.json")}
    assert left == {"journal.jsonl", *weights}, "checkpoints go with their trials"
    of_ray = [path for path in (place / ".ray").rglob("*") if path.is_file()]
    assert [path for path in of_ray if path.stat().st_mode & 0o077] == [], "HOME has a token"

    parent, children = runs_in_mlflow(place)
    assert parent.info.run_name == "smoke" and parent.info.status == "FINISHED"
    assert parent.data.tags["tuner.claim"] == study.facts.claim
    for trial, run in zip(study.trials, children, strict=True):
        assert run.info.status == STATUS[trial.state]
        assert run.data.tags["tuner.state"] == trial.state
        if trial.last is not None:
            logged = run.data.metrics["select/objective"]
            assert logged == pytest.approx(trial.last.objective)
        assert float(run.data.params["optim.lr"]) == trial.config.optim.lr

    code, printed = finish(tuner("search", str(SMOKE)))
    assert code == 2 and "tuner resume smoke" in printed
    code, printed = finish(tuner("report", "smoke", "--json"))
    assert code == 0
    told = json.loads(printed)
    assert told.pop("timeline")["nodes_peak"] == 1
    assert StudyRecord.model_validate(told) == study
    (node,) = study.nodes
    assert node.head and node.cpus >= 1 and node.gpus == 0
    for trial in study.trials:
        *stopped, last = trial.placed
        assert [attempt.outcome for attempt in stopped] == ["pruned"] * trial.to_the_end
        assert last.outcome == ("non_finite" if trial in diverged else trial.state)
        for attempt in trial.placed:
            assert attempt.nodes == (node.node,)
            assert node.joined < attempt.placed < attempt.ended <= node.left


@pytest.mark.slow
def test_a_driver_that_died_right_at_the_end_is_made_good(
    tuner: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It left a checkpoint, and neither its last record nor MLflow: resume trains nothing."""
    code, printed = finish(tuner("search", str(SMOKE), "--set", "budget.trials=1"))
    assert code == 0, printed
    journal = place / "studies" / "smoke" / FILE
    records = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    assert '"driver_ended"' in records[-1]
    journal.write_text("".join(records[:-1]), encoding="utf-8")
    (place / "studies" / "mlflow.db").unlink()
    checkpoint = place / "studies" / "smoke" / "trials" / "0000" / "step-000000050"
    checkpoint.mkdir(parents=True)
    (checkpoint / "optimizer.safetensors").write_text("as it was")

    code, printed = finish(tuner("resume", "smoke"))
    assert code == 0 and "nothing is left to do" in printed, printed
    assert "Ray on this machine" not in printed
    assert not checkpoint.parent.exists()
    ended = record(place)
    assert ended.state == "completed" and ended.trials[0].attempts == 1
    parent, (child,) = runs_in_mlflow(place)
    assert parent.info.status == child.info.status == "FINISHED"

    monkeypatch.setattr(snapshot, "WORTH", 0)  # as if the journal were long
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["tuner", "resume", "smoke"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code in (0, None)
    assert (journal.parent / snapshot.SNAPSHOT).exists(), "the next summary is quick"


@pytest.mark.slow
def test_a_killed_worker_goes_on_from_its_checkpoint(tuner: Command, place: Path) -> None:
    """Ray starts the trial again elsewhere; known rungs are not trained or counted again."""
    one = ["--set", "budget.pairs_per_trial=6400", "--set", "budget.trials=1"]
    process = tuner("search", str(SMOKE), *one)
    wait_for(place, lambda s: any(len(t.evaluations) >= 2 for t in s.trials), process)
    (worker,) = workers_of_trials(place)
    os.kill(worker, signal.SIGKILL)
    code, printed = finish(process)
    assert code == 0, printed
    (trial,) = record(place).trials
    assert trial.state == "completed" and trial.attempts == 2
    assert [attempt.outcome for attempt in trial.placed] == ["lost", "completed"]
    assert [(f.kind, f.reason) for f in trial.failures] == [("lost", "its worker is gone")]
    journal = (place / "studies" / "smoke" / FILE).read_text(encoding="utf-8")
    events = [json.loads(line) for line in journal.splitlines()]
    rungs = [e["evaluation"]["rung"] for e in events if e["event"] == "evaluated"]
    assert rungs == [400, 800, 1600, 3200, 6400]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "missing.yaml"], "cannot read missing.yaml"),
        (["search", str(SMOKE), "--set", "budgt.trials=1"], "did you mean 'budget'"),
        (["search", str(SMOKE), "--set", "languages.target=[xx]"], "xx"),
        (
            ["search", str(SMOKE), "--set", "data={source: directory, path: nowhere}"],
            "is not a folder",
        ),
        (
            [
                "search",
                str(SMOKE),
                "--set",
                "space.fusion.layer={type: int, low: 0, high: 4, when: {fusion.kind: [dlfa]}}",
            ],
            "must be 0 ... 3",
        ),
        (["search", str(SMOKE), "--set", "tracking.uri=http://127.0.0.1:9"], "cannot be reached"),
        (["search", str(SMOKE), "--set", "encoder.name=./nothing"], "nothing"),
        (["resume", "nothing"], "there is no study nothing"),
        (["report", "nothing"], "there is no study nothing"),
        (["train", str(SMOKE), "--set", "trial.fusion.kind=dlfa"], "fusion.layer must be given"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_exit_with_2_and_leave_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One clear message, before anything starts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tuner", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_fits_nowhere_is_refused(tuner: Command, place: Path) -> None:
    """The cluster has been asked by then, and still nothing is left."""
    code, printed = finish(tuner("search", str(SMOKE), "--set", "resources.cpus_per_trial=4096"))
    assert code == 2
    assert "a trial asks for 4096 CPU" in printed and "Traceback" not in printed
    assert not (place / "studies" / "smoke").exists()
