"""Pages of long studies: tables and figures that show some of the trials, and say so."""

from __future__ import annotations

import csv
import io
import itertools

import pytest

from tests.report.page.conftest import paged
from tests.report.page.studies import search
from tuner.blocks import Figure, Grid, Page, SideBySide
from tuner.blocks.html import html
from tuner.journal.records import StudyRecord
from tuner.report import excerpt
from tuner.report.leaderboard import as_csv, ordered

TRIALS = 640


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    return search(tmp_path_factory.mktemp("long"), TRIALS)


@pytest.fixture(scope="module")
def page(long: StudyRecord, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return paged(long, tmp_path_factory.mktemp("long"))


def grids(page: Page) -> list[Grid]:
    """Every table, also those behind figures."""
    found = []
    for section in page.sections:
        for block in section.blocks:
            figures = block.figures if isinstance(block, SideBySide) else [block]
            tables = [each.numbers if isinstance(each, Figure) else each for each in figures]
            found += [table for table in tables if isinstance(table, Grid)]
    return found


def test_no_table_has_more_rows_and_all_say_what_they_leave_out(page: Page) -> None:
    cut = [grid for grid in grids(page) if f"of {TRIALS} trials" in grid.caption]
    assert len(cut) == 3, "the leaderboard, the learning curves and the commands"
    for grid in grids(page):
        assert len(grid.rows) <= excerpt.MOST
        assert (excerpt.CSV in grid.caption) == (grid in cut)
    assert len(html(page)) < 3e6


def test_the_leaderboard_begins_with_the_best(page: Page, long: StudyRecord) -> None:
    board = next(grid for grid in grids(page) if "ranked" in grid.caption)
    names = [row[0].split()[0] for row in board.rows]
    assert names == [f"{trial.number:03d}" for trial in ordered(long)[: excerpt.MOST]]
    assert board.strong == {0} and names[0] == f"{long.best.number:03d}"  # type: ignore[union-attr]


def test_an_excerpt_has_the_best_and_all_kinds(long: StudyRecord) -> None:
    shown, order = excerpt.spread(long), ordered(long)
    numbers = [trial.number for trial in shown]
    assert len(numbers) == excerpt.MOST and numbers == sorted({*numbers})
    assert {trial.number for trial in order[: excerpt.MOST // 2]} <= {*numbers}
    places = [place for place, trial in enumerate(order) if trial.number in numbers]
    assert max(b - a for a, b in itertools.pairwise(places)) <= 2
    assert {trial.state for trial in shown} == {trial.state for trial in long.trials}


def test_a_file_has_all(long: StudyRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(long))))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in ordered(long)]


def test_a_short_study_is_whole(searched: StudyRecord, search_page: Page) -> None:
    assert excerpt.spread(searched) == sorted(searched.trials, key=lambda trial: trial.number)
    assert excerpt.first(searched) == ordered(searched)
    assert not any(excerpt.CSV in grid.caption for grid in grids(search_page))
