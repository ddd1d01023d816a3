"""A design in the leaderboard, over seeds and at a glance: nothing is ranked."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.scaling.planted import SMALL, planted
from tests.scaling.studies import planned, recorded
from tuner.errors import UserError
from tuner.journal.digest import Digest
from tuner.journal.records import StudyRecord
from tuner.report.leaderboard import as_csv, ordered
from tuner.report.page.trials import planned as plan
from tuner.report.seeds import curves
from tuner.report.status import StudyStatus
from tuner.search.outcome import StudyOutcome


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    """Six tuning trials, twelve compared ones."""
    return recorded(planned(tmp_path, **SMALL), planted)


def printed(what: Any) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_no_trial_is_ranked_and_tuning_is_marked(record: StudyRecord) -> None:
    assert record.ranked() == [] and record.best is None
    assert [trial.number for trial in ordered(record)] == list(range(18))
    grid = plan(record)
    assert "not ranked" in grid.caption and not grid.strong
    assert [row[1] for row in grid.rows] == ["chooses a learning rate"] * 6 + ["is compared"] * 12
    rows = list(csv.DictReader(io.StringIO(as_csv(record))))
    assert {row["rank"] for row in rows} == {""}
    assert [row["origin"] for row in rows] == ["tuning"] * 6 + ["design"] * 12


def test_seeds_that_chose_a_rate_are_in_no_mean(record: StudyRecord) -> None:
    (low, high) = curves(record, "mix.cross_lingual", ["oracle/accuracy/es"])
    assert all(group.seeds == 3 for curve in (low, high) for group in curve.points.values())
    with pytest.raises(UserError, match=r"do not differ in 'optim\.lr'"):
        curves(record, "optim.lr", ["select/objective"])


def test_at_a_glance_it_says_how_far_the_plan_is(record: StudyRecord) -> None:
    status = StudyStatus(Path("studies/planted"), "completed", 18, Digest.of(record))
    text = printed(status.summary)
    assert "no trial is stopped early, and none is ranked" in text
    assert "6 learning-rate trials and 12 compared trials have ended" in text
    assert "stopped" not in text.split("pairs")[-1] and "unconfirmed" not in text
    assert status.as_json()["best"] is None


def test_a_design_is_complete_without_a_best_trial(record: StudyRecord) -> None:
    assert StudyOutcome("completed", "").of(record).state == "completed"
    nothing = record.model_copy(
        update={"trials": tuple(t.model_copy(update={"state": "failed"}) for t in record.trials)}
    )
    assert StudyOutcome("completed", "").of(nothing).state == "failed"
