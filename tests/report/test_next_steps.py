"""The steps after a search: a confirmation, unless nothing was learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records import with_facts, with_settings
from tests.report.page.studies import RUNGS, search
from tuner.journal.records import StudyRecord
from tuner.report.leaderboard import best_in_words
from tuner.report.next_steps import next_steps
from tuner.tracking.notes import study_note


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    return search(tmp_path_factory.mktemp("studies"), trials=6)


def at_the_majority_level(study: StudyRecord) -> StudyRecord:
    """The best trial scores what always giving the most frequent label scores."""
    assert study.best is not None and study.best.last is not None
    return with_facts(study, majority_accuracy=study.best.last.objective)


def test_a_search_is_confirmed(searched: StudyRecord, tmp_path: Path) -> None:
    assert searched.learnt and "confirm planted" in next_steps(searched, tmp_path / "planted")
    assert "nothing was learnt" not in study_note(searched).lower()


def test_where_nothing_was_learnt_something_else_is_tried(
    searched: StudyRecord, tmp_path: Path
) -> None:
    study = at_the_majority_level(searched)
    rates = sorted(trial.config.optim.lr for trial in study.trials)
    steps, note = next_steps(study, tmp_path / "planted"), study_note(study)
    assert any("nothing was learnt" in line for line in best_in_words(study))
    assert "Nothing was learnt" in note and "confirm planted" not in steps + note
    for text in (steps, note):
        assert f"longer training than {RUNGS[-1]:,} pairs (budget.pairs_per_trial)" in text
        assert f"learning rates beyond {rates[0]:.3g} to {rates[-1]:.3g} (optim.lr)" in text
    assert "report planted" in steps  # as after any search


def test_a_search_without_a_control_is_not_confirmed(searched: StudyRecord, tmp_path: Path) -> None:
    study = with_settings(searched, baseline=None)
    assert "confirm" not in next_steps(study, tmp_path / "planted")
