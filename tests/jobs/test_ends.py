"""A job's end is this process's own; and commands shown there are those that are typed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from upath import UPath

from tuner.errors import StudyFailed, StudyInterrupted, UserError
from tuner.invocation import AGAIN, READER, command, more_command, search_command
from tuner.jobs.api import ENTRY, Job, _after_entry
from tuner.jobs.studies import StudyJob, metadata
from tuner.jobs.submit import _conclude
from tuner.report import status

AGAIN_HERE = "tuner submit mine.yaml --address https://head"


def ended(status: str, code: int | None, message: str = "") -> Job:
    said = metadata("mine", "s3://b/s", "digest", AGAIN_HERE)
    told: dict[str, Any] = {"submission_id": "1", "status": status, "driver_exit_code": code}
    return Job.of({**told, "metadata": said, "message": message, "start_time": 1500})


@pytest.mark.parametrize(
    ("job", "expected", "said"),
    [
        (ended("FAILED", 1), StudyFailed, "exit code 1"),
        (ended("FAILED", -9), StudyFailed, "exit code -9"),
        (ended("FAILED", 2), UserError, "the cluster refused mine"),
        (ended("FAILED", 130), StudyInterrupted, AGAIN_HERE),
        (ended("STOPPED", None), StudyInterrupted, AGAIN_HERE),
        (ended("FAILED", None, "runtime_env setup failed: x"), StudyFailed, "setup failed: x"),
    ],
)
def test_how_a_job_ended(job: Job, expected: type[Exception], said: str) -> None:
    with pytest.raises(expected, match=said):
        _conclude(job, StudyJob.of(job))


def test_a_good_end() -> None:
    job = ended("SUCCEEDED", 0)
    _conclude(job, StudyJob.of(job))
    assert job.ended and job.started == 1.5


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_the_log_begins_where_the_command_does(cut: int) -> None:
    """However it comes in pieces: what Ray says before is not the command's."""
    whole = f"INFO installing\n{ENTRY}tuner-1: exec python -m tuner\nfirst\nsecond\n"
    assert _after_entry(whole) == (True, "first\nsecond\n")
    begun, own = _after_entry(whole[:cut])
    assert not begun and own == ""


def test_commands_for_a_reader_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = UPath("s3://bucket/studies/mine")
    monkeypatch.setenv(READER, "--address https://head")
    assert command("status", folder) == (
        "tuner status mine --storage s3://bucket/studies --address https://head"
    )
    assert command("resume", folder) == "tuner submit SPACE.yaml --address https://head"
    monkeypatch.setenv(AGAIN, AGAIN_HERE)
    assert command("resume", folder) == AGAIN_HERE
    assert more_command(folder, "--trials +8", "budget.trials") == (
        f"{AGAIN_HERE} --set budget.trials=…"
    )
    assert search_command(Path("study.yaml"), ["a=b"]) == AGAIN_HERE


def test_a_study_that_is_watched_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From elsewhere, right after it was submitted: page after page until it is there."""
    monkeypatch.setenv(READER, "--address https://head")
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    monkeypatch.setattr(status, "PAGE_EVERY", 0.01)
    with pytest.raises(UserError, match="there is no study mine"):
        status.watch(tmp_path / "mine", Console(force_terminal=True))
    pages = capsys.readouterr().out.split(status.PAGE)
    assert len(pages) > 2 and pages[0] == "mine: not started yet\n"
