"""The pages in a real browser, Chromium: desktop and phone, light and dark.

Screenshots are left in the folder that SCREENSHOTS names; that of the README is made so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tuner.blocks import Page
from tuner.blocks.html import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = {"desktop": 1280, "phone": 390}
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e =>
    !e.closest('.box, pre, svg') && e.getBoundingClientRect().width > 0 &&
    e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
).map(e => e.tagName + '.' + e.className)"""
CUT = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const whole = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.width > 0 && (box.left < whole.left - 1 || box.right > whole.right + 1
            || box.top < whole.top - 1 || box.bottom > whole.bottom + 1);
    }).map(text => text.textContent);
})"""
"""Words of figures that stand out of them: the reader's font is not matplotlib's."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright", reason="playwright, which drives the browser, is missing")
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser is here: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["search_page", "confirmed_page"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = request.getfixturevalue(request.param)
    assert isinstance(page, Page)
    file = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    file.write_text(html(page))
    return file


def opened(browser: Browser, file: Path, width: int, scheme: Literal["light", "dark"]) -> Tab:
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    tab = context.new_page()
    tab.goto(file.as_uri())
    if folder := os.environ.get("SCREENSHOTS"):
        shown = Path(folder) / f"{file.stem}-{width}-{scheme}.png"
        tab.screenshot(path=shown, full_page=True)
    return tab


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_overflows_and_nothing_is_cut(browser: Browser, file: Path, width: int) -> None:
    tab = opened(browser, file, width, "light")
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("request", lambda request: complaints.append(request.url))
    tab.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    whole = tab.evaluate("() => document.documentElement.scrollWidth")
    assert whole == width
    assert tab.evaluate(OVERFLOWING) == []
    assert tab.evaluate(CUT) == []
    assert complaints == []
    tab.context.close()


def test_the_words_of_figures_can_be_read_on_a_phone(browser: Browser, file: Path) -> None:
    tab = opened(browser, file, WIDTHS["phone"], "dark")
    heights = tab.evaluate(
        "() => [...document.querySelectorAll('svg text')].map(text => {"
        " const svg = text.ownerSVGElement;"
        " const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;"
        " return scale * parseFloat(getComputedStyle(text).fontSize); })"
    )
    assert len(heights) > 50 and min(heights) >= 6.5  # CSS pixels; of small print
    tab.context.close()


def test_dark_differs_from_light_and_both_can_be_read(browser: Browser, file: Path) -> None:
    shown = {}
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        tab = opened(browser, file, WIDTHS["desktop"], scheme)
        shown[scheme] = tab.evaluate(
            "() => { const look = s => getComputedStyle(document.querySelector(s));"
            " return {page: look('body').backgroundColor, ink: look('body').color,"
            " drawn: look('svg text').fill} }"
        )
        tab.context.close()
    for part in ("page", "ink", "drawn"):
        assert shown["light"][part] != shown["dark"][part], part
    assert shown["light"]["ink"] == shown["light"]["drawn"]
    assert shown["dark"]["ink"] == shown["dark"]["drawn"]
