"""MLflow's pages of a study in a real browser: a nano study, `tuner ui`, Chromium.

Screenshots are left in the folder that SCREENSHOTS names; those of the docs are made so.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tracking.browser import (
    WINDOW,
    cells,
    columns,
    come,
    named,
    open_run,
    open_view,
    tuner,
    window,
)
from tuner.journal.journal import read_history
from tuner.journal.records import StudyRecord

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.slow

SPACE = Path(__file__).parents[2] / "search_spaces" / "nano.yaml"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXES = ["mix.cross_lingual", "batch.effective_size", "fusion.lowest_layer", "optim.lr"]
SETTINGS = ["mix.cross_lingual", "batch.effective_size", "fusion.kind", "fusion.layer", "optim.lr"]
OBJECTIVE = "select/objective"
SCORES = ["select/score", OBJECTIVE, "train/pairs_seen"]

Shot = Callable[[str], object]


@pytest.fixture(scope="module")
def chromium() -> str:
    pytest.importorskip("playwright", reason="playwright, which drives the browser, is missing")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser is here: none of {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """An empty folder with a short name: Ray's sockets live below it, and their paths are short."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "ray").mkdir()
        yield Path(folder)


@pytest.fixture(scope="module")
def study(chromium: str, place: Path) -> StudyRecord:
    """Eight trials over β, B, the fusion, k and the learning rate, with two rungs."""
    changes = ("--set", "budget.trials=8", "--set", "budget.pairs_per_trial=4800")
    with tuner(place, "search", str(SPACE), *changes) as search:
        printed, _ = search.communicate(timeout=900)
    assert search.returncode == 0, printed
    return read_history(place / "studies" / "nano").record()


@pytest.fixture(scope="module")
def addresses(study: StudyRecord, place: Path) -> Iterator[tuple[str, str]]:
    """The output of `tuner ui`: where MLflow is, and the newest study's view."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tuner(place, "ui", "--port", str(port)) as ui:
        assert ui.stdout is not None
        printed = ui.stdout.readline() + ui.stdout.readline()
        root, view = re.findall(r"http://\S+", printed)
        assert root == f"http://127.0.0.1:{port}"
        yield root, view


@pytest.fixture(scope="module")
def page(chromium: str, addresses: tuple[str, str]) -> Iterator[Page]:
    """A page of a new browser, as a person has left it who has used MLflow before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW)
        page.goto(addresses[0])
        page.get_by_role("button", name="Close", exact=True).click()  # MLflow's assistant
        page.get_by_role("button", name="Model training").click()
        yield page
        browser.close()


@pytest.fixture
def shot(page: Page, tmp_path: Path) -> Shot:
    """Takes a screenshot, by name."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    return lambda name: page.screenshot(path=folder / f"{name}.png", animations="disabled")


def test_a_studys_view_ranks_its_trials(
    page: Page, study: StudyRecord, addresses: tuple[str, str], shot: Shot
) -> None:
    open_view(page, addresses[1], 8)
    shot("ranked")
    with window(page, 2600, 950):
        page.locator('.ag-cell[col-id="duration"]').first.wait_for()
        assert columns(page) == {
            "attributes.`Run Name`",
            *(f"metrics.`{name}`" for name in SCORES),
            *(f"params.`{name}`" for name in SETTINGS),
            *(f"metrics.`select/accuracy/{language}`" for language in ("en", "de", "fr")),
            "tags.`tuner.state`",
            "tags.`tuner.reason`",
        }
    ranked = study.ranked()
    objectives = {named(t): t.last.objective for t in ranked if t.last}
    rows = cells(page, "attributes.`Run Name`")[: len(ranked)]
    assert sorted(rows) == sorted(objectives)
    # Among equal scores MLflow shows the last one first, and the ranking the first one.
    assert [objectives[row] for row in rows] == sorted(objectives.values(), reverse=True)
    states = cells(page, "tags.`tuner.state`")
    assert states == ["completed"] * len(ranked) + ["pruned"] * (8 - len(ranked))
    scores = cells(page, "metrics.`select/score`")
    assert [float(score) for score in scores[: len(ranked)]] == [
        pytest.approx(t.last.objective, abs=1e-6) for t in ranked if t.last
    ]
    assert set(scores[len(ranked) :]) == {"-"}
    seen = [str(t.last.pairs_seen) for t in study.trials if t.last]
    assert sorted(cells(page, "metrics.`train/pairs_seen`")) == sorted(seen)


def test_trials_are_nested_under_their_study(
    page: Page, study: StudyRecord, addresses: tuple[str, str], shot: Shot
) -> None:
    open_view(page, addresses[1], 8)
    page.get_by_role("button", name="nano", exact=True).click()  # the menu of views
    page.get_by_text("all studies").click()
    names = page.locator('.ag-cell[col-id="attributes.`Run Name`"]')
    come(names, 1)
    names.first.get_by_role("button").click()
    come(names, 9)
    page.mouse.move(0, 0)
    shot("nested")
    parent, *trials = cells(page, "attributes.`Run Name`")
    assert (parent, sorted(trials)) == ("nano", [named(trial) for trial in study.trials])
    with window(page, 2600, 950):
        page.locator('.ag-cell[col-id="duration"]').first.wait_for()
        assert columns(page) == {
            "attributes.`Run Name`",
            *(f"metrics.`{name}`" for name in ("best/objective", *SCORES)),
            *(f"params.`{name}`" for name in SETTINGS),
            "tags.`tuner.state`",
        }


def test_the_charts_of_a_studys_view(
    page: Page, study: StudyRecord, addresses: tuple[str, str], shot: Shot
) -> None:
    open_view(page, addresses[1], 8)
    plots = page.locator(".js-plotly-plot")
    with window(page, 1600, 4000):
        page.goto(f"{addresses[1]}&compareRunsMode=CHART")
        come(plots, 2 + 5 + 1)  # learning curves, a scatter plot a setting, the contour
        titles = "p => p.map(p => [p.layout.xaxis, p.layout.yaxis].map(axis => axis.title?.text))"
        drawn = plots.evaluate_all(titles)
        curve = plots.first.evaluate("plot => plot.data[0].x")
        texts = page.locator("svg text").all_text_contents()
        header = "experiment-view-compare-runs-section-header"
        sections = page.get_by_test_id(header).all_inner_texts()
    assert [x for x, _ in drawn[:2]] == 2 * ["train/pairs_seen"]
    assert drawn[2:] == [
        ["mix.cross_lingual", OBJECTIVE],
        ["batch.effective_size", OBJECTIVE],
        ["fusion.kind", OBJECTIVE],
        ["fusion.lowest_layer", OBJECTIVE],
        ["optim.lr", OBJECTIVE],
        ["mix.cross_lingual", "batch.effective_size"],
    ]
    assert curve == [evaluation.pairs_seen for evaluation in study.ranked()[0].evaluations]
    assert {*AXES, "fusion.kind", "train/pairs_seen", OBJECTIVE} <= set(texts)  # in parallel
    assert any(text.startswith("oracle/accuracy") for text in sections)  # closed: not in drawn
    page.mouse.move(0, 0)
    shot("charts")
    page.get_by_text("Each setting").scroll_into_view_if_needed()
    plots.first.locator("text", has_text="train/pairs_seen").wait_for()
    shot("curves")


def test_compare(page: Page, addresses: tuple[str, str], shot: Shot) -> None:
    open_view(page, addresses[1], 8)
    page.locator(".ag-header input[type=checkbox]:visible").first.click()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("button", name="Clear All").click()

    boxes = page.get_by_role("combobox")
    for box, names in ((boxes.nth(0), AXES), (boxes.nth(1), [OBJECTIVE])):
        for name in names:
            box.click()
            page.keyboard.type(name)
            page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    headings = page.locator(".pcp-plot .axis-title")
    come(headings, 5)
    assert headings.all_text_contents() == [*AXES, OBJECTIVE]
    lowest = page.locator(".pcp-plot").evaluate(
        "plot => plot.querySelector('.js-plotly-plot')?.data[0].dimensions[2].values"
        " ?? plot.data[0].dimensions[2].values"
    )
    assert len(lowest) == 8  # trials that fuse nothing are drawn too
    assert max(lowest) == 4
    page.mouse.move(0, 0)
    shot("compare")

    plot = page.locator(".js-plotly-plot")
    for tab, axes in {
        "Scatter Plot": ["optim.lr", OBJECTIVE],
        "Contour Plot": ["mix.cross_lingual", "batch.effective_size", OBJECTIVE],
    }.items():
        page.get_by_role("tab", name=tab).click()
        for number, name in enumerate(axes):
            boxes.nth(number).click()
            page.get_by_role("option", name=name, exact=True).click()
        come(plot, 1)
        shown = plot.evaluate(
            "plot => [plot.layout.xaxis.title.text, plot.layout.yaxis.title.text]"
        )
        assert shown == axes[:2]
        shot(tab.split()[0].lower())


def test_a_trials_metrics_have_pairs_seen_as_steps(
    page: Page, study: StudyRecord, addresses: tuple[str, str], shot: Shot
) -> None:
    best = study.best
    assert best is not None
    open_run(page, addresses[1], 8, named(best))
    page.get_by_role("tab", name="Model metrics").click()
    plot = page.locator(".js-plotly-plot").first
    plot.wait_for()
    assert plot.evaluate("plot => plot.data[0].x") == [e.pairs_seen for e in best.evaluations]
    shot("metrics")


def test_notes_say_what_runs_are_and_how_they_ended(
    page: Page, study: StudyRecord, addresses: tuple[str, str], shot: Shot
) -> None:
    pruned = next(trial for trial in study.trials if trial.state == "pruned")
    open_run(page, addresses[1], 8, named(pruned))
    note = page.get_by_test_id("note-editor-preview-content")
    assert note.locator("strong").all_inner_texts() == ["Pruned"]
    assert pruned.reason in note.inner_text()
    assert note.locator("code").all_inner_texts() == [OBJECTIVE, "nano", *pruned.params]
    assert study.facts.claim in note.inner_text()
    shot("trial")

    page.get_by_role("link", name="nano", exact=True).click()
    note.get_by_text("Completed", exact=True).wait_for()
    assert note.locator("strong").all_inner_texts() == [
        "Completed",
        "Best, unconfirmed:",
        "Claim:",
        f"Objective ({OBJECTIVE}):",
    ]
    assert study.settings.description in note.inner_text()
    assert "\\n" not in note.inner_text()
    shot("study")
