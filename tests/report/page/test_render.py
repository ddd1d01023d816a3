"""Both files of a page: whole, escaped, alike in their numbers, and loading nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.report.page.studies import CLAIM, HOSTILE
from tuner.blocks import Figure, Grid, Page, Section, SideBySide, Words
from tuner.blocks.html import html
from tuner.blocks.markdown import markdown

MAX_BYTES = 3_000_000
"""Bytes of a page."""


class Read(HTMLParser):
    """A page as a browser reads it: its elements and its tables' cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.cell = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        if self.cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.cell:
            self.rows[-1][-1] += data


def grids(page: Page) -> Iterator[Grid]:
    for block in (block for section in page.sections for block in section.blocks):
        for part in block.figures if isinstance(block, SideBySide) else (block,):
            if isinstance(part, Grid):
                yield part
            elif isinstance(part, Figure) and part.numbers:
                yield part.numbers


@pytest.fixture(scope="module", params=["search_page", "confirmed_page"])
def page(request: pytest.FixtureRequest) -> Page:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Page)
    return found


@pytest.fixture(scope="module")
def text(page: Page) -> str:
    return html(page)


def test_the_page_loads_nothing_and_runs_nothing(text: str) -> None:
    read = Read(text)
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "link", "img", "iframe", "object"})
    for _, attributes in read.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "../"))
    assert "@import" not in text and "url(http" not in text
    assert "default-src 'none'" in text
    assert len(text.encode()) < MAX_BYTES


def test_what_a_study_says_is_text(text: str, page: Page) -> None:
    assert HOSTILE not in text
    assert HOSTILE in "".join(Read(text).words)
    written = markdown(page)
    assert "<script>" not in written and "<b>" not in written and "<i>" not in written
    assert r"\*\*not bold\*\*" in written


def test_every_table_and_figure_carries_its_claim(text: str) -> None:
    read = Read(text)
    captions = re.findall(r"<figcaption>.*?</figcaption>", text, re.DOTALL)
    figures = [attributes for tag, attributes in read.tags if tag == "figure"]
    assert len(captions) == len(figures) > 5
    assert all(f'<span class="claim">{CLAIM}</span>' in caption for caption in captions)


def test_every_drawing_has_words_for_those_who_do_not_see_it(text: str) -> None:
    drawn = [attributes for tag, attributes in Read(text).tags if tag == "svg"]
    assert drawn and all(attributes["role"] == "img" for attributes in drawn)
    assert all(len(attributes["aria-label"] or "") > 20 for attributes in drawn)


def test_names_in_the_page_are_given_once(text: str) -> None:
    names = [attributes["id"] for _, attributes in Read(text).tags if "id" in attributes]
    assert len(names) == len(set(names))
    for name in re.findall(r'(?:url\(#|href="#)([\w-]+)', text):
        assert name in names


def test_the_twin_has_the_same_numbers(page: Page, text: str) -> None:
    """Every table of the page, cell by cell, in both files."""
    told = [
        re.split(r"(?<!\\) \| ", row[2:-2]) for row in re.findall(r"^\|.*\|$", markdown(page), re.M)
    ]
    plain = [[_unmarked(cell) for cell in row] for row in told]
    rows = [[cell.strip() for cell in row] for row in Read(text).rows]
    expected = [list(row) for grid in grids(page) for row in (grid.columns, *grid.rows)]
    parts = [rows for grid in grids(page) for rows in _parts(grid)]
    assert len(expected) > 30
    assert [row for row in plain if set("".join(row)) - set("-: ")] == expected
    assert rows == [list(row) for part in parts for row in part]


def _parts(grid: Grid) -> list[tuple[tuple[str, ...], ...]]:
    """The tables that a browser shows of a table: the open rows and the folded ones."""
    return [(grid.columns, *rows) for rows in (grid.open_rows, grid.folded_rows) if rows]


def _unmarked(cell: str) -> str:
    cell = re.sub(r"^\*\*(.*)\*\*$", r"\1", cell.strip())
    cell = re.sub(r"\\(.)", r"\1", cell)
    return cell.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("# no heading", r"\# no heading"),
        ("- no item", r"\- no item"),
        ("1. no number", r"1\. no number"),
        ("82.10", "82.10"),
        ("−0.5 of mix.cross_lingual", "−0.5 of mix.cross_lingual"),
        ("_no_ [link](x)", r"\_no\_ \[link\](x)"),
        ("a\nb | `c`", r"a b \| \`c\`"),
        ("\x1b[31m", r"\\x1b\[31m"),
    ],
)
def test_markdown_is_escaped(search_page: Page, written: str, expected: str) -> None:
    section = Section("Only", (Words(written),))
    text = markdown(replace(search_page, sections=(section,)))
    assert text.endswith(f"## Only\n\n{expected}\n")
