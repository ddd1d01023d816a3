"""Whole studies to which something happens, on a real Ray of their own: each failure kind once."""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.processes import SMOKE, Command, finish, record, runs_in_mlflow, wait_for
from tuner.run.prepare import prepare
from tuner.study.file import load_study
from tuner.terminal.progress import ConsoleProgress
from tuner.training.checkpoint import Checkpoints
from tuner.training.loop import Step, train

pytestmark = pytest.mark.integration

TWO = ["--set", "budget.trials=2"]


@pytest.fixture(scope="module")
def anothers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial's folder with a checkpoint, of a configuration that no study here has."""
    folder = tmp_path_factory.mktemp("another") / "trial"
    study = load_study(SMOKE)
    inputs = prepare(study, ConsoleProgress(Console(quiet=True))).inputs
    config = study.baseline_config().model_copy(update={"seed": 99})
    saved = Checkpoints(folder, every_seconds=0.0)
    events = train(config, study.rungs, inputs, torch.device("cpu"), saved)
    for event in events:
        if isinstance(event, Step) and event.step == 3:
            break
    return folder


@pytest.mark.slow
def test_a_data_or_user_error_pauses_the_study_with_one_message(
    tuner: Command, place: Path, anothers: Path
) -> None:
    """Here another study's checkpoint lies in a trial's folder; without it, all goes on."""
    process = tuner("search", str(SMOKE), *TWO)
    wait_for(place, lambda s: len(s.trials) >= 1, process)
    planted = place / "studies" / "smoke" / "trials" / "0001"
    shutil.copytree(anothers, planted)
    code, printed = finish(process)
    assert code == 2 and "Traceback" not in printed, printed
    assert "error: trial 1 cannot be trained: the checkpoint" in printed
    assert "belongs to another configuration" in printed and "tuner resume smoke" in printed
    paused = record(place)
    assert paused.state == "interrupted" and "cannot be trained" in paused.reason
    assert "failed" not in {trial.state for trial in paused.trials}

    shutil.rmtree(planted)
    code, printed = finish(tuner("resume", "smoke"))
    assert code == 0, printed
    ended = record(place)
    assert all(trial.state in ("completed", "pruned") for trial in ended.trials)
    assert [failure.kind for failure in ended.trials[1].failures] == ["user_error"]
    _, children = runs_in_mlflow(place)
    assert children[1].data.tags["tuner.failures"] == "user_error 1"
    assert children[1].data.tags["tuner.attempts"] == "2"


@pytest.mark.slow
def test_an_unknown_error_is_tried_again_and_then_the_trial_fails(
    tuner: Command, place: Path
) -> None:
    """Here a file is in the place of a trial's folder."""
    process = tuner("search", str(SMOKE), *TWO)
    wait_for(place, lambda s: len(s.trials) >= 1, process)
    trials = place / "studies" / "smoke" / "trials"
    trials.mkdir(exist_ok=True)
    (trials / "0001").write_text("in the way")
    code, printed = finish(process)
    assert code == 0, printed
    baseline, failed = record(place).trials
    assert baseline.state == "completed"
    assert failed.state == "failed" and failed.reason.startswith("failed 3 times, the last time: ")
    assert [failure.kind for failure in failed.failures] == ["error"] * 3 and failed.attempts == 3
    said = (place / "studies" / "smoke" / "errors" / "0001.txt").read_text()
    assert "NotADirectoryError" in said and "\x1b" not in said and "Traceback" not in printed
    _, children = runs_in_mlflow(place)
    assert children[1].info.status == "FAILED"
    assert children[1].data.tags["tuner.failures"] == "error 3"
    assert "failed 3 times" in children[1].data.tags["tuner.reason"]


@pytest.mark.slow
def test_a_study_whose_trials_all_fail_alike_stops_early(tuner: Command, place: Path) -> None:
    """Five of eight trials diverge: exit code 1, and why."""
    space = "space={optim.lr: 1e30, seed: {type: int, low: 0, high: 99}}"
    useless = ["--set", space, "--set", "baseline=null"]
    code, printed = finish(tuner("search", str(SMOKE), *useless, "--set", "budget.trials=8"))
    assert code == 1, printed
    study = record(place)
    assert study.state == "failed" and "same way: training diverged" in study.reason
    assert 5 <= len(study.trials) <= 7, "what ran beside them was stopped"
    assert "all failed in the same way" in printed


@pytest.mark.slow
def test_a_spent_budget_ends_a_study_which_may_be_extended(tuner: Command, place: Path) -> None:
    """By time: what runs is stopped between two steps, and goes on when there is more."""
    longer = ["--set", "budget.pairs_per_trial=12800"]
    process = tuner("search", str(SMOKE), *TWO, *longer, "--set", "budget.wall=6s")
    code, printed = finish(process)
    assert code == 130, printed  # no trial came to its end in that time
    first = record(place)
    assert first.state == "interrupted" and "budget.wall is spent" in first.reason
    spent = re.search(r"budget.wall is spent: (\d+) s", first.reason)
    assert spent and int(spent[1]) <= 6 + 3, "noticed within a heartbeat"
    assert {trial.state for trial in first.trials} <= {"interrupted", "pending"}
    reasons = {trial.reason for trial in first.trials if trial.state == "interrupted"}
    assert all(reason.startswith("budget.wall is spent") for reason in reasons)

    code, printed = finish(tuner("resume", "smoke"))
    assert "budget.wall is spent" in printed and "--until +2h" in printed
    code, printed = finish(tuner("resume", "smoke", "--until", "+1h", "--trials", "+1"))
    assert code == 0, printed
    study = record(place)
    assert study.state == "completed" and len(study.trials) == 3
    assert study.settings.budget.wall == "1h6s"
    assert all(trial.state in ("completed", "pruned") for trial in study.trials)


@pytest.mark.slow
def test_what_a_resume_may_not_change_is_refused(tuner: Command, place: Path) -> None:
    """With the difference; and a search of the same name names resume, and what differs."""
    code, printed = finish(tuner("search", str(SMOKE), *TWO))
    assert code == 0, printed
    before = (place / "studies" / "smoke" / "journal.jsonl").read_bytes()
    changed = ["--set", "space.optim.lr.high=0.5"]
    code, printed = finish(tuner("resume", "smoke", "--trials", "+1", *changed))
    assert code == 2 and "space.optim.lr.high: was 0.001, now 0.5" in printed
    code, printed = finish(tuner("search", str(SMOKE), *TWO, *changed))
    assert code == 2 and "already exists" in printed and "tuner resume smoke" in printed
    assert "space.optim.lr.high: was 0.001, now 0.5" in printed
    assert (place / "studies" / "smoke" / "journal.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_resume_is_interrupted_before_it_goes_on(tuner: Command, place: Path) -> None:
    """Nothing has happened, and the study says how it goes on."""
    process = tuner("search", str(SMOKE))
    wait_for(place, lambda s: len(s.trials) >= 1, process)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 130
    before = (place / "studies" / "smoke" / "journal.jsonl").read_bytes()
    process = tuner("resume", "smoke")
    assert process.stdout is not None
    while "loading libraries" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, printed = finish(process)
    assert code == 130 and "tuner resume smoke" in printed, printed
    assert (place / "studies" / "smoke" / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("moment", "seconds", "number"),
    [
        ("loading libraries", 0.5, signal.SIGINT),
        ("loading libraries", 0.5, signal.SIGTERM),
        ("encoder nano:", 0, signal.SIGHUP),
    ],
    ids=["loading libraries, Ctrl-C", "loading libraries", "preparing its data"],
)
def test_interrupted_before_it_began(
    tuner: Command, place: Path, moment: str, seconds: float, number: signal.Signals
) -> None:
    """Nothing is begun, and no library swallows it or crashes by it; Ray starts meanwhile."""
    process = tuner("search", str(SMOKE))
    assert process.stdout is not None
    while moment not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(seconds)
    process.send_signal(number)
    code, printed = finish(process)
    assert code == 130 and "interrupted: nothing was started" in printed, printed
    assert not (place / "studies" / "smoke").exists()


def test_interrupted_just_after_it_began_the_study_goes_on(tuner: Command, place: Path) -> None:
    """The message is true whether or not the journal is there already."""
    process = tuner("search", str(SMOKE))
    assert process.stdout is not None
    while "Ray on this machine" not in process.stdout.readline():
        assert process.poll() is None
    begun = place / "studies" / "smoke" / "journal.jsonl"
    while not begun.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, printed = finish(process)
    assert code == 130 and "nothing was started" not in printed, printed
    assert "tuner resume smoke" in printed


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes the host for full as soon as 1% of its memory is in use."""
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "200")


@pytest.mark.slow
def test_where_the_hosts_memory_is_full_the_micro_batch_is_halved(
    no_memory: None, tuner: Command, place: Path
) -> None:
    """Ray's own monitor ends the worker each time, until not even one pair is left to try."""
    settings = ["--set", "budget.trials=1", "--set", "trial.batch.micro_size=2"]
    code, printed = finish(tuner("search", str(SMOKE), *settings))
    (trial,) = record(place).trials
    assert [failure.kind for failure in trial.failures] == 2 * ["out_of_memory"], printed
    assert trial.state == "failed"
    told = r"not even one pair fits in memory: .*host's memory ran out: [\d.]+ of [\d.]+ GB"
    assert re.fullmatch(told, trial.reason)
    assert code == 1 and "Traceback" not in printed, printed
