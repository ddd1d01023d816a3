"""The page of a scaling study against planted truth and the raw scores of its seeds."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from tests.report.page.conftest import paged
from tests.report.page.examples import blocks_of, words_of
from tests.scaling.studies import planned, recorded
from tuner.blocks import Figure, Grid, Page, Points
from tuner.journal.records import StudyRecord
from tuner.report.page.scaling import UNFINISHED
from tuner.scaling.conclusion import conclusion
from tuner.scaling.result import Scaled
from tuner.scaling.sentences import sentences
from tuner.study.trial import TrialConfig


def truth(config: TrialConfig, language: str) -> float:
    """Targets gain by β; the best rate lies at the grid's edge at B = 64, and inside else."""
    rate = 1e-2 if config.batch.effective_size == 64 else 1e-3
    gain = 0.1 * config.mix.cross_lingual if language in ("es", "ja") else 0.0
    return (0.7 if config.optim.lr == rate else 0.6) + gain


@pytest.fixture(scope="module")
def study(place: Path) -> StudyRecord:
    return recorded(planned(place), truth)


@pytest.fixture(scope="module")
def page(study: StudyRecord, place: Path) -> Page:
    return paged(study, place)


def test_the_conclusion_is_whole_and_findings_come_first(page: Page, study: StudyRecord) -> None:
    told = sentences(Scaled.of(study))
    lists = [block for block in blocks_of(page, "Answer") if isinstance(block, Points)]
    items, words = [item for points in lists for item in points.items], words_of(page, "Answer")
    assert words.startswith(" ".join(conclusion(Scaled.of(study))))
    assert set(items) < set(told)
    assert [each for each in told if each not in items] == [each for each in told if each in words]
    assert "A significant effect of β" in lists[0].items[0]
    assert UNFINISHED not in words_of(page, "Answer")


def test_effects_are_the_planted_ones(page: Page) -> None:
    (targets,) = (b for b in blocks_of(page, "Effects") if isinstance(b, Figure))
    sources = blocks_of(page, "Effects on other responses")[0]
    assert isinstance(sources, Figure)
    assert targets.numbers is not None and sources.numbers is not None
    beta = {figure.caption: row for figure in (targets, sources) for row in [first(figure)]}
    values = [float(row[2].replace("−", "-")) for row in beta.values()]
    assert values[0] == pytest.approx(10, abs=2) and values[1] == pytest.approx(0, abs=2)
    assert first(targets)[-1] == "*"
    assert "on dev accuracy of the targets (es, ja), at equal pairs" in targets.caption


def first(figure: Figure) -> tuple[str, ...]:
    assert figure.numbers is not None
    return next(row for row in figure.numbers.rows if row[0] == "β")


def test_means_are_of_the_seeds_and_the_edge_is_left_out(page: Page, study: StudyRecord) -> None:
    figure = next(b for b in blocks_of(page, "Means") if isinstance(b, Figure) and b.numbers)
    assert figure.numbers is not None
    assert {row[0] for row in figure.numbers.rows} == {"16", "32"}
    assert "B = 64" in figure.caption
    size, _, mean, _ = figure.numbers.rows[0]
    share = figure.numbers.columns[2].removeprefix("β = ")
    scores = [
        fmean(t.last.oracle[at].accuracy for at in ("es", "ja"))
        for t in study.trials
        if t.origin == "design"
        and t.last
        and str(t.config.batch.effective_size) == size
        and f"{t.config.mix.cross_lingual:g}" == share
    ]
    assert mean.startswith(f"{100 * fmean(scores):.2f} ± ")


def test_rates_at_the_edge_are_flagged(page: Page) -> None:
    figure, grid = blocks_of(page, "Learning rates")
    assert isinstance(figure, Figure) and isinstance(grid, Grid)
    assert "B = 64 best at 0.01 (edge)" in figure.alt and "B = 16 best at 0.001;" in figure.alt
    assert [row[2] for row in grid.rows] == [
        "inside the grid",
        "inside the grid",
        "at the edge: excluded",
    ]


def test_every_compared_trial_is_there_to_check_by_hand(page: Page, study: StudyRecord) -> None:
    (grid,) = blocks_of(page, "Scores of the seeds")
    assert isinstance(grid, Grid)
    compared = [trial for trial in study.trials if trial.origin == "design"]
    assert len(grid.rows) == len(compared)
    for row in grid.rows[::17]:
        last = study.trials[int(row[0])].last
        assert last is not None
        told = dict(zip(grid.columns, row, strict=True))
        targets = fmean(last.oracle[at].accuracy for at in ("es", "ja"))
        assert told["targets"] == f"{100 * targets:.2f}"


def test_a_study_under_way_says_so(place: Path) -> None:
    page = paged(recorded(planned(place), truth, stop_at=20), place)
    assert UNFINISHED in words_of(page, "Answer")
    nothing = paged(recorded(planned(place), truth, stop_at=0), place)
    assert "No effect was estimated" in words_of(nothing, "Answer")
