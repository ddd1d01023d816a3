"""The page of a confirmation against the raw scores of its seeds; published figures."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.records import with_facts, with_settings
from tests.report.page.conftest import paged
from tests.report.page.examples import blocks_of, words_of
from tests.report.page.studies import confirmation
from tuner.blocks import Figure, Grid, Page, Points, Words
from tuner.confirm.result import Confirmed
from tuner.confirm.sentences import conclusion, sentences
from tuner.journal.records import StudyRecord
from tuner.report.page.languages import beside_published, language_figure
from tuner.report.page.published import FIGURES, published


def raw(study: StudyRecord, arm: str, at: str) -> list[float]:
    return [t.tests[-1].scores[at].accuracy for t in study.trials if t.arm == arm]


def test_the_answer_is_the_conclusion_whole(confirmed_page: Page, confirmed: StudyRecord) -> None:
    result = Confirmed.of(confirmed)
    first = conclusion(result)
    whole = " ".join(b.text for b in blocks_of(confirmed_page, "Answer") if isinstance(b, Words))
    assert whole == " ".join(first)
    points = next(b for b in blocks_of(confirmed_page, "Answer") if isinstance(b, Points))
    assert (*first, *points.items) == sentences(result)


def test_the_leaderboard_is_of_the_seeds(confirmed_page: Page, confirmed: StudyRecord) -> None:
    board = next(b for b in blocks_of(confirmed_page, "Confirmed") if isinstance(b, Grid))
    names = [row[0].removesuffix(" (recommended)") for row in board.rows]
    assert names[0] == "trial 007" and board.rows[0][0].endswith("(recommended)")
    assert board.strong == {0}
    column = board.columns.index("test targets, %")
    for name, row in zip(names, board.rows, strict=True):
        own = [t.last.objective for t in confirmed.trials if t.arm == name and t.last]
        assert row[1].startswith(f"{100 * fmean(own):.2f} ± ")
        mean = fmean(raw(confirmed, name, "targets"))
        assert row[column].startswith(f"{100 * mean:.2f} ± ")
    ties = {name: row[-1] for name, row in zip(names, board.rows, strict=True)}
    assert board.columns[-1] == "may be best on"
    assert ties["trial 007"] == "dev, test" and ties["control"] == "neither"


def test_optimism_is_in_points(confirmed_page: Page, confirmed: StudyRecord) -> None:
    """The search's 90 % less the mean over fresh seeds, by hand."""
    settings = next(
        b
        for b in blocks_of(confirmed_page, "Confirmed")
        if isinstance(b, Grid) and "optimism" in b.columns
    )
    told = {row[0]: dict(zip(settings.columns, row, strict=True)) for row in settings.rows}
    assert told["control"]["optimism"] == "–"
    own = [t.last.objective for t in confirmed.trials if t.arm == "trial 007" and t.last]
    by_hand = f"{90 - 100 * fmean(own):+.2f}".replace("-", "−")
    assert told["trial 007"]["optimism"] == by_hand


def test_differences_are_told_as_shown_or_not(confirmed_page: Page, confirmed: StudyRecord) -> None:
    figure = blocks_of(confirmed_page, "Difference")[0]
    assert isinstance(figure, Figure) and figure.numbers is not None
    rows = {row[0]: row for row in figure.numbers.rows}
    mean = fmean(raw(confirmed, "trial 007", "targets")) - fmean(
        raw(confirmed, "control", "targets")
    )
    assert rows["trial 007"][2] == f"{100 * mean:+.2f}"
    assert rows["trial 007"][-1] == "*" and rows["trial 003"][-1] == ""


def test_the_heat_map_has_every_ordered_pair(confirmed_page: Page, confirmed: StudyRecord) -> None:
    blocks = blocks_of(confirmed_page, "Pairs of languages")
    figures = [block for block in blocks if isinstance(block, Figure)]
    assert [figure.alt.split(":")[0] for figure in figures] == [
        "Heat map of trial 007",
        "Heat map of control",
    ]
    grid = figures[0].numbers
    assert grid is not None and len(grid.rows) == 4
    place = grid.columns.index("es")
    german = next(row for row in grid.rows if row[0] == "de")
    mean = fmean(raw(confirmed, "trial 007", "de-es"))
    assert german[place].startswith(f"{100 * mean:.2f} ± ")


def test_every_seed_is_there_to_check_by_hand(confirmed_page: Page, confirmed: StudyRecord) -> None:
    (grid,) = blocks_of(confirmed_page, "Scores of the seeds")
    assert isinstance(grid, Grid) and len(grid.rows) == 9
    for row in grid.rows:
        trial = next(
            t for t in confirmed.trials if t.arm == row[0] and str(t.config.seed) == row[1]
        )
        told = dict(zip(grid.columns, row, strict=True))
        scores = trial.tests[-1].scores
        assert told["test targets"] == f"{100 * scores['targets'].accuracy:.2f}"
        assert told["test ja"] == f"{100 * scores['ja'].accuracy:.2f}"


def test_nothing_is_said_before_there_is_a_recommendation(
    place: Path, confirmed: StudyRecord
) -> None:
    page = paged(confirmed.model_copy(update={"recommendation": None}), place)
    assert "test has not been read" in words_of(page, "Answer")
    assert not any(section.title == "By language" for section in page.sections)


def test_a_confirmation_that_failed_says_so(place: Path, confirmed: StudyRecord) -> None:
    trials = tuple(
        trial.model_copy(update={"state": "failed", "evaluations": (), "tests": ()})
        for trial in confirmed.trials
    )
    changes = {"recommendation": None, "state": "failed", "trials": trials}
    page = paged(confirmed.model_copy(update=changes), place)
    assert "no run that could choose has completed. Nothing" in words_of(page, "Answer")
    assert "--again" in words_of(page, "Answer") and "resume" not in words_of(page, "Answer")


FILES = {"train": "{language}/train.tsv", "dev": "{language}/dev.tsv"}


def of_data(study: StudyRecord, encoder: str, pairs: int, **data: Any) -> StudyRecord:
    counts = {**study.facts.data.counts, "test": {"en": 2000, "ja": pairs}}
    known = with_facts(study, data={"counts": counts})
    if data["source"] in ("files", "hub"):
        data |= {"machine_translated": []}
    return with_settings(known, data=data, encoder={"name": encoder})


@pytest.mark.parametrize(
    ("encoder", "pairs", "data", "expected"),
    [
        ("nano", 1946, {"source": "nano"}, 0),
        ("bert-base-multilingual-cased", 1946, {"source": "files", **FILES}, 0),
        ("bert-base-multilingual-cased", 1946, {"source": "hub", "name": "somebody/quora"}, 0),
        ("bert-base-multilingual-cased", 1946, {"source": "directory", "path": "/x"}, 2),
        ("bert-base-multilingual-cased", 982, {"source": "directory", "path": "/a/part"}, 0),
        ("mine", 1946, {"source": "hub", "name": "google-research-datasets/paws-x"}, 2),
        ("xlm-roberta-large", 1946, {"source": "directory", "path": "/x"}, 3),
    ],
)
def test_published_figures_stand_beside_the_whole_test_of_pawsx_alone(
    confirmed: StudyRecord, encoder: str, pairs: int, data: dict[str, Any], expected: int
) -> None:
    assert len(published(of_data(confirmed, encoder, pairs, **data))) == expected


def test_published_figures_are_those_that_were_read() -> None:
    """Means of the complete rows, as the sources give them."""
    means = {each.label: fmean(each.accuracy.values()) for each in FIGURES}
    assert means["XTREME, mBERT"] == pytest.approx(81.9, abs=0.1)
    assert means["XLM-R large"] == pytest.approx(86.4, abs=0.1)
    assert all("[s]" in each.source for each in FIGURES)


def test_a_reference_stands_beside_them_and_a_confirmation_does_not(
    place: Path, confirmed_page: Page
) -> None:
    study = confirmation(place, {"reference": 0.8}, name="planted-reference")
    result = Confirmed.of(study)
    section = beside_published(result, FIGURES[:1])
    words, figure = section.blocks[:2]
    assert isinstance(words, Words) and "154 test rows" in words.text
    low, high = (0.85 * 1946 + right for right in (0, 54))
    assert f"between {low / 20:.1f} and {high / 20:.1f} % there" in words.text
    assert isinstance(figure, Figure) and figure.numbers is not None
    assert "XTREME, mBERT" in figure.draw() and "quoted by another source" in figure.caption
    told = [row for row in figure.numbers.rows if row[0] == "XTREME, mBERT"]
    assert [row[1:3] for row in told] == [
        ("en", "94.00"),
        ("de", "85.70"),
        ("es", "87.40"),
        ("ja", "73.00"),
    ]
    none = beside_published(result, ()).blocks[0]
    assert isinstance(none, Words) and "None are shown here" in none.text
    assert "XTREME" not in repr(confirmed_page)
    assert "XTREME, mBERT" not in language_figure(result, ()).draw()
    assert paged(study, place).kind == "external reference"
