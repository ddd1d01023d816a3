"""The words about a study while it runs."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.waiting import until
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.terminal import view as module
from tuner.terminal.view import StudyView

Trial = Callable[..., TrialRecord]


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0, time=time.time))


def run(console: Console, study: StudyRecord, trial: Trial) -> str:
    """Two trials run; one ends."""
    empty = study.model_copy(update={"trials": ()})
    with StudyView(console, trials=24) as view:
        view.study_started(empty)
        view.trial_started(trial(0, "running"))
        view.trial_started(trial(1, "running"))
        view.progressed(trial(0, "running"), 800, "training")
        first = trial(1, "running", 0.7)
        assert first.last is not None
        view.progressed(trial(1, "running"), 1600, "evaluating")
        if console.is_interactive:
            until(lambda: "800 of 9,600 pairs" in said(console))
        view.evaluated(first, first.last)
        ended = trial(1, "pruned", 0.7).model_copy(update={"reason": "stopped by ASHA"})
        view.trial_ended(ended)
        view.progressed(trial(0, "running"), 1000, "training")
        whole = {"state": "completed", "reason": "2 trials", "seconds": 3600.0}
        view.study_ended(empty.model_copy(update=whole))
    return said(console)


def said(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def log() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def test_a_log_has_a_line_for_each_fact(log: Console, study: StudyRecord, trial: Trial) -> None:
    assert run(log, study, trial).splitlines() == [
        "0:00:00 study nano: 24 trials, rungs at 1,600, 4,800, 9,600 pairs",
        "0:00:00 starting workers: each takes some seconds to load its libraries",
        "0:00:00 trial 000 started: cross_lingual=0.25, lr=0.0001, kind=last",
        "0:00:00 trial 001 started: cross_lingual=0.25, lr=0.0002, kind=last",
        "0:00:00 trial 001 at 1,600 pairs: 70.00% (1,000 pairs/s)",
        "0:00:00 trial 001 pruned 70.00%: stopped by ASHA [1/24]",
        "0:00:00 study nano completed: 2 trials",
    ]


def test_a_study_that_goes_on_says_how_far_it_is(
    log: Console, study: StudyRecord, trial: Trial
) -> None:
    trials = (trial(0, "completed", 0.7), trial(1, "interrupted"))
    with StudyView(log, trials=24) as view:
        view.study_started(study.model_copy(update={"trials": trials}))
    line = "0:00:00 study nano: 1 of 24 trials ended, rungs at 1,600, 4,800, 9,600 pairs\n"
    assert log.file.getvalue().startswith(line)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("state", "to_the_end", "expected"),
    [
        ("paused", False, "goes on after 1,600 pairs: it is among the best there"),
        ("pruned", True, "goes on after 1,600 pairs: it is a candidate for `tuner confirm`"),
        ("paused", True, "goes on after 1,600 pairs: it is a candidate for `tuner confirm`"),
        ("interrupted", False, "starts again after 1,600 pairs"),
    ],
)
def test_a_trial_that_goes_on_says_why(
    log: Console, study: StudyRecord, trial: Trial, state: str, to_the_end: bool, expected: str
) -> None:
    rests = trial(1, state, 0.7)
    again = trial(1, "running", 0.7).model_copy(update={"attempts": 2, "to_the_end": to_the_end})
    with StudyView(log, trials=24) as view:
        view.study_started(study.model_copy(update={"trials": (rests,)}))
        view.trial_started(again)
    assert f"trial 001 {expected}" in said(log).splitlines()[-1]


def test_a_quiet_log_says_what_runs(
    log: Console, study: StudyRecord, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a minute without a line; here at once."""
    monkeypatch.setattr(module, "QUIET", -1.0)
    running = [line for line in run(log, study, trial).splitlines() if "running:" in line]
    assert running[0].endswith("000 training at 800 pairs, 001 starting at 0 pairs [0/24]")
    assert "001 evaluating at 1,600 pairs" in running[1]
    assert "running: 000 training at 1,000 pairs [1/24, about " in running[2]


def test_a_terminal_has_lines_for_ended_trials_above_a_summary(
    study: StudyRecord, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESHES", 1000)
    console = Console(
        file=io.StringIO(), width=80, height=24, force_terminal=True, force_interactive=True,
        no_color=True,
    )  # fmt: skip
    text = run(console, study, trial)
    assert "trial 001 pruned 70.00%: stopped by ASHA\n" in text.replace("\x1b[0m", "")
    assert "trial 000 started" not in text  # the summary shows it
    assert "1:00:0" not in text, "the study's time has this driver's in it, at its end"
    assert "800 of 9,600 pairs" in text and "waiting 22" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is shown again
