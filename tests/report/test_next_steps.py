"""The steps after a search: a confirmation, unless nothing was learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records import with_facts, with_settings
from tests.report.page.studies import RUNGS, search
from tuner.journal.records import StudyRecord
from tuner.report.next_steps import next_steps
from tuner.report.page.search import conclusion_blocks, next_step
from tuner.tracking.notes import study_note


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    return search(tmp_path_factory.mktemp("studies"), trials=6)


def at_the_majority_level(study: StudyRecord) -> StudyRecord:
    """The best trial scores what always giving the most frequent label scores."""
    assert study.best is not None and study.best.last is not None
    return with_facts(study, majority_accuracy=study.best.last.objective)


def test_a_search_is_confirmed(searched: StudyRecord, tmp_path: Path) -> None:
    assert searched.learnt and "confirm planted" in steps(searched, tmp_path / "planted")
    assert "nothing was learnt" not in study_note(searched).lower()


def test_where_nothing_was_learnt_something_else_is_tried(
    searched: StudyRecord, tmp_path: Path
) -> None:
    study = at_the_majority_level(searched)
    rates = sorted(trial.config.optim.lr for trial in study.trials)
    told, note = steps(study, tmp_path / "planted"), study_note(study)
    assert "Nothing was learnt" in repr(conclusion_blocks(study))
    assert "Nothing was learnt" in note and "confirm planted" not in told + note
    for text in (told, note):
        assert f"longer training than {RUNGS[-1]:,} pairs (budget.pairs_per_trial)" in text
        assert f"learning rates beyond {rates[0]:.3g} to {rates[-1]:.3g} (optim.lr)" in text
    assert "report planted" in told  # as after any search


def test_a_search_without_a_control_is_not_confirmed(searched: StudyRecord, tmp_path: Path) -> None:
    study = with_settings(searched, baseline=None)
    told = steps(study, tmp_path / "planted")
    assert "It cannot be confirmed: planted has no control" in told
    assert "confirm planted" not in told


def steps(study: StudyRecord, folder: Path) -> str:
    """Return what the terminal suggests at the end of a search."""
    return repr([*next_step(study, folder), *next_steps(study, folder)])
