"""The page of a search: what it says is true of its record, and none of it is a result."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.records import with_facts, with_settings
from tests.report.page.conftest import paged
from tests.report.page.examples import blocks_of, words_of
from tests.report.page.studies import RUNGS, confirmation, search
from tuner import invocation
from tuner.blocks import Commands, Figure, Grid, Page, Points
from tuner.blocks.html import html
from tuner.blocks.markdown import markdown
from tuner.errors import UserError
from tuner.journal.ledger import Ledger
from tuner.journal.records import StudyRecord
from tuner.report.page import beside, provenance
from tuner.report.page.beside import first_test
from tuner.report.page.trials import FIRST

BROKEN = "planted-reference"


def test_the_answer_is_a_candidate(search_page: Page, searched: StudyRecord) -> None:
    assert search_page.sections[0].title == "Answer"
    best = searched.best
    assert best is not None and best.last is not None
    words = words_of(search_page, "Answer")
    score = f"{100 * best.last.objective:.2f} %"
    assert "Unconfirmed" in words and f"trial {best.number:03d} has" in words and score in words
    assert "biased upwards" in words and "did not read test" in words
    control = searched.trials[0].last
    assert control is not None
    less = f"{100 * (best.last.objective - control.objective):.2f} points less"
    assert less in words
    commands = [block for block in blocks_of(search_page, "Answer") if isinstance(block, Commands)]
    assert "confirm planted" in commands[0].lines[0]


def test_a_search_without_a_control_cannot_be_confirmed(place: Path) -> None:
    study = search(place)
    page = paged(with_settings(study, baseline=None), place)
    assert "cannot be confirmed: planted has no control" in words_of(page, "Answer")
    assert not any(isinstance(block, Commands) for block in blocks_of(page, "Answer"))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (True, "Training text is machine-translated."),
        (False, "Training text is not machine-translated."),
        (None, "It is unknown whether training text is machine-translated."),
    ],
)
def test_machine_translation_is_told_as_it_is_known(
    known: bool | None, told: str, place: Path
) -> None:
    study = search(place, trials=4)
    page = paged(with_facts(study, data={"machine_translated": known}), place)
    assert told in words_of(page, "Data and encoder")


def test_truncated_pairs_are_on_the_page_by_language(
    search_page: Page, searched: StudyRecord
) -> None:
    told = "pairs truncated to 32 tokens: train: en 3 of 60; dev: en 1 of 60, ja 14 of 60"
    section = provenance.data(with_facts(searched, data={"notes": [told]}))
    page = replace(search_page, sections=(section,))
    (points,) = (b for b in blocks_of(page, "Data and encoder") if isinstance(b, Points))
    assert points.items == (told,)
    assert told in markdown(page) and told in html(page)


def test_where_nothing_was_learnt_confirming_is_not_next(place: Path) -> None:
    study = search(place, trials=4)
    page = paged(with_facts(study, majority_accuracy=0.99), place)
    words = words_of(page, "Answer")
    assert "Nothing was learnt" in words
    assert f"Next: longer training than {RUNGS[-1]:,} pairs" in words and "(optim.lr)" in words
    assert not any(isinstance(block, Commands) for block in blocks_of(page, "Answer"))


def test_each_trial_stands_on_the_leaderboard_once(
    search_page: Page, searched: StudyRecord
) -> None:
    (grid,) = (b for b in blocks_of(search_page, "Leaderboard") if isinstance(b, Grid))
    assert len(grid.open_rows) == FIRST and grid.folded == f"{len(grid.rows) - FIRST} more trials"
    listed = [row[0] for row in grid.rows]
    assert len(listed) == len(set(listed)) == len(searched.trials)
    text = markdown(search_page)
    board = text[text.index("## Leaderboard") : text.index("## Learning curves")]
    assert all(board.count(f"| {name} |") == 1 or f"**{name}**" in board for name in listed)


def test_commands_run_from_any_folder(
    searched: StudyRecord, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The page may have been made anywhere: all of its paths are absolute."""
    monkeypatch.chdir(place.parent)
    monkeypatch.setattr(sys, "argv", [".venv/bin/tuner", "report"])
    monkeypatch.setattr(invocation, "which", lambda name: None)
    text = markdown(paged(searched, Path(place.name)))
    commands = re.findall(r"(\S*tuner) (?:confirm|replay) planted(.*?)(?:\n| [0-9])", text)
    assert len(commands) > 10
    for program, option in commands:
        assert program == str(place.parent / ".venv/bin/tuner")
        assert option.strip() == f"--storage {place}"


def test_equal_scores_are_said(place: Path) -> None:
    study = search(place, trials=4)
    last = study.trials[0].last
    assert last is not None
    same = [trial.model_copy(update={"evaluations": (last,)}) for trial in study.trials]
    words = words_of(paged(study.model_copy(update={"trials": tuple(same)}), place), "Answer")
    assert "2 others scored the same" in words


def test_no_answer_before_a_trial_is_complete(place: Path) -> None:
    study = search(place)
    page = paged(study.model_copy(update={"trials": study.trials[4:6]}), place)  # stopped; failed
    assert "no answer yet" in words_of(page, "Answer")
    assert [section.title for section in page.sections][:3] == [
        "Answer",
        "Leaderboard, unconfirmed",
        "Learning curves",
    ]


def test_target_dev_is_nowhere_on_the_page(place: Path) -> None:
    """Default views do not show what may not choose."""
    study = search(place)
    first, *others = study.trials
    last = first.evaluations[-1]
    secret = last.select["en"].model_copy(update={"accuracy": 0.123456})
    seen = last.model_copy(update={"oracle": {"es": secret, "targets": secret}})
    trial = first.model_copy(update={"evaluations": (*first.evaluations[:-1], seen)})
    page = paged(study.model_copy(update={"trials": (trial, *others)}), place)
    assert "12.35" not in repr(page) and "oracle" not in repr(page)


def test_curves_have_every_evaluation(search_page: Page, searched: StudyRecord) -> None:
    (figure,) = blocks_of(search_page, "Learning curves")
    assert isinstance(figure, Figure) and figure.numbers is not None
    cells = [cell for row in figure.numbers.rows for cell in row[2:] if cell != "–"]
    told = [100 * e.objective for trial in searched.trials for e in trial.evaluations]
    assert cells == [f"{score:.2f}" for score in told]
    complete = len(searched.ranked())
    assert f": {complete} reached the full budget, ASHA stopped 8." in figure.alt


def test_selection_by_asha_is_said_and_counted(search_page: Page, searched: StudyRecord) -> None:
    assert "not missing at random" in words_of(search_page, "Settings")
    heat = next(
        b for b in blocks_of(search_page, "Settings") if isinstance(b, Figure) and b.numbers
    )
    assert heat.numbers is not None
    complete = sum(int(row[3]) for row in heat.numbers.rows)
    assert complete == len(searched.ranked())
    assert sum(int(row[4]) for row in heat.numbers.rows) == len(searched.trials)
    cell = next(row for row in heat.numbers.rows if row[3] == "1")
    alone = [
        trial.last.objective
        for trial in searched.ranked()
        if trial.last
        and f"{trial.config.mix.cross_lingual:.3g}" == cell[0]
        and str(trial.config.batch.effective_size) == cell[1]
    ]
    assert [f"{100 * score:.2f}" for score in alone] == [cell[2]]


def test_cost_adds_up(search_page: Page, searched: StudyRecord) -> None:
    grid = blocks_of(search_page, "Cost")[0]
    assert isinstance(grid, Grid)
    pairs = [int(row[1].replace(",", "")) for row in grid.rows]
    assert sum(pairs[:-1]) == pairs[-1] == Ledger.of(searched).pairs


def test_every_line_can_be_made_again(search_page: Page, searched: StudyRecord) -> None:
    grid = next(b for b in blocks_of(search_page, "How to") if isinstance(b, Grid))
    evaluated = [trial.number for trial in searched.trials if trial.last]
    assert [row[0][:3] for row in grid.rows] == [f"{number:03d}" for number in evaluated]
    assert all(f" {int(row[0][:3])}" in row[1] and "replay planted" in row[1] for row in grid.rows)
    assert grid.rows[0][-1] == "32, 16 from step 40"


def test_noise_is_a_diagnostic_and_ratios_are_of_means(search_page: Page) -> None:
    words = words_of(search_page, "Gradient noise")
    assert "not a critical batch size" in words
    (grid,) = (b for b in blocks_of(search_page, "Gradient noise") if isinstance(b, Grid))
    # Means of 1 and 3, and of −0.5 and 1.5: 2 and 0.5; 2 / 0.5 and (2 + 0.5) / 0.25.
    assert grid.rows == (("monolingual", "400", "2", "2", "8, 64", "2", "0.5", "4", "10"),)


def test_a_confirmation_stands_on_top(
    place: Path, searched: StudyRecord, confirmed: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest that confirms this search, not one of the same name's predecessor."""
    assert confirmed.settings.design is not None
    design = confirmed.settings.design.model_dump() | {"study": searched.id}
    mine = with_settings(confirmed, design=design)
    older = confirmation(place, {"control": 0.9}, searched.id, "planted-confirm-2")
    older = older.model_copy(update={"created": 1.0})
    stranger = confirmation(place, {"control": 0.9}, "another", "planted-confirm-3")
    records = {study.name: study for study in (searched, mine, older, stranger)}
    monkeypatch.setattr(beside, "studies_in", lambda _: [place / n for n in (*records, BROKEN)])

    class History:
        def __init__(self, folder: Path) -> None:
            if folder.name == BROKEN:
                raise UserError("its journal is damaged")
            self.record = lambda: records[folder.name]

    monkeypatch.setattr(beside, "read_history", History)
    page = paged(searched, place)
    assert page.sections[0].title == "Answer, confirmed"
    assert "Recommended before test was read: trial 007" in words_of(page, "Answer, confirmed")
    assert "Unconfirmed" in words_of(page, "Answer of the search alone")
    assert f"{BROKEN} cannot be read: its journal is damaged" in words_of(page, "Answer, conf")
    command = next(b for b in blocks_of(page, "Answer, conf") if isinstance(b, Commands))
    assert "report planted-confirm" in command.lines[0]
    assert "began after" not in words_of(page, "Answer, confirmed")
    read = first_test(older)
    assert read is not None and first_test(searched) is None
    *before, last = searched.trials
    later = last.model_copy(update={"started": read + 1})
    gone_on = searched.model_copy(update={"trials": (*before, later)})
    told = words_of(paged(gone_on, place), "Answer, confirmed")
    assert f"1 trial of the search began after {older.name} had read test" in told
