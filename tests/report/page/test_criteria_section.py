"""The section on criteria: what it says others would have chosen is true of the record."""

from __future__ import annotations

from pathlib import Path

from tests.report.page.conftest import paged
from tests.report.page.examples import blocks_of, words_of
from tests.report.page.studies import search
from tuner.blocks import Figure, Grid, Page
from tuner.journal.records import StudyRecord
from tuner.study.scores import Scores


def test_the_answer_says_that_another_criterion_would_have_chosen_another_trial(
    search_page: Page, searched: StudyRecord
) -> None:
    best = searched.best
    assert best is not None
    by_mean = min(searched.complete, key=lambda trial: trial.config.optim.lr)
    told = f"by balanced it is {best.number:03d}, by mean {by_mean.number:03d}"
    assert told in words_of(search_page, "Answer") and told in words_of(search_page, "Criteria")


def test_the_table_has_every_criterion_and_the_objective_first(search_page: Page) -> None:
    (table,) = (each for each in blocks_of(search_page, "Criteria") if isinstance(each, Grid))
    assert [row[0] for row in table.rows] == ["balanced", "mean", "cross_lingual"]
    assert [row[-1] for row in table.rows] == ["+1.00", "-1.00", "+1.00"]
    assert table.rows[0][1] == table.rows[2][1] != table.rows[1][1]
    chosen = table.rows[1]
    assert float(chosen[2]) > float(chosen[3]), "its own best has more of it than the chosen one"


def test_the_front_is_drawn_where_both_scores_are_known(place: Path) -> None:
    """The two scores are opposed, so every trial is on the front."""
    study = search(place)
    trials = []
    for trial in study.trials:
        last = trial.last
        if last is not None and last.criteria:
            within = Scores(accuracy=last.criteria["mean"], f1=0.5, pairs=20)
            last = last.model_copy(update={"select": {**last.select, "sources": within}})
            evaluations = (*trial.evaluations[:-1], last)
            trial = trial.model_copy(update={"evaluations": evaluations})
        trials.append(trial)
    page = paged(study.model_copy(update={"trials": tuple(trials)}), place)
    (figure,) = (each for each in blocks_of(page, "Criteria") if isinstance(each, Figure))
    assert figure.numbers is not None
    rates = {trial.config.optim.lr for trial in study.complete}
    assert len(figure.numbers.rows) == len(study.complete) == len(rates)
    assert "<svg" in figure.draw()


def test_a_study_of_an_older_version_has_no_such_section(place: Path) -> None:
    study = search(place)
    trials = []
    for trial in study.trials:
        older = tuple(each.model_copy(update={"criteria": {}}) for each in trial.evaluations)
        trials.append(trial.model_copy(update={"evaluations": older}))
    page = paged(study.model_copy(update={"trials": tuple(trials)}), place)
    assert "Criteria" not in [section.title for section in page.sections]
    assert "depends on the criterion" not in words_of(page, "Answer")
