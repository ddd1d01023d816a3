"""Rendering of a page as HTML and as Markdown, from the same blocks.

Both escape all text of a study. The HTML contains its style and figures, has no scripts and loads
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from tuner.report.page.blocks import (
    Block,
    Commands,
    Figure,
    Grid,
    Link,
    Page,
    Points,
    Side,
    Words,
)
from tuner.report.page.drawing.canvas import colours
from tuner.shown import printable

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html"
HTML, MARKDOWN = "report.html", "report.md"
"""Names of a page's two files in a study's folder."""
_MARKUP = re.compile(r"([\\`*\[\]|~])")
_LINE_START = re.compile(r"^([-+=]|#+|\d+[.)])(?=\s|$)")


def html(page: Page) -> str:
    """Return the page as one HTML file."""
    return _template().render(page=page, light=colours("light"), dark=colours("dark"))


def markdown(page: Page) -> str:
    """Return the page as Markdown, with the tables of their numbers in place of figures."""
    lines = [f"# {_escaped(page.title)}", "", _escaped(f"{page.kind}: {', '.join(page.status)}")]
    if page.description:
        lines += ["", _escaped(page.description)]
    lines += ["", f"**{_escaped(page.claim)}**"]
    for section in page.sections:
        lines += ["", f"## {_escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_lines(block)]
    return "\n".join(lines) + "\n"


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tuner.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    environment.filters["kind"] = lambda block: type(block).__name__.lower()
    return environment.get_template(TEMPLATE)


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Words(text, role):
            mark = {"answer": "**", "note": "*", "warning": "", "plain": ""}[role]
            lead = "> " if role == "warning" else ""
            yield f"{lead}{mark}{_escaped(text)}{mark}"
        case Points(items):
            yield from (f"- {_escaped(item)}" for item in items)
        case Commands(intro, lines):
            yield from (_escaped(intro), "")
            yield from (f"    {printable(line)}" for line in lines)
        case Link(text, study):
            yield f"[{_escaped(text)}](../{study}/{MARKDOWN})"
        case Grid():
            yield from _table(block)
        case Side(figures):
            for number, figure in enumerate(figures):
                yield from ([""] if number else [])
                yield from _lines(figure)
        case Figure():
            yield f"*Figure (drawn in {HTML}):* {_escaped(block.alt)} {_escaped(block.caption)}"
            yield from ("", f"*{_escaped(block.claim)}*")
            if block.numbers is not None:
                yield from ("", *_table(block.numbers))


def _table(grid: Grid) -> Iterator[str]:
    yield from (_escaped(grid.caption), "")
    yield f"| {' | '.join(map(_escaped, grid.columns))} |"
    kinds = ["---" if place < grid.left else "---:" for place in range(len(grid.columns))]
    yield f"| {' | '.join(kinds)} |"
    for number, row in enumerate(grid.rows):
        mark = "**" if number in grid.strong else ""
        yield "| " + " | ".join(f"{mark}{_escaped(c)}{mark}" if c else "" for c in row) + " |"
    yield from ("", f"*{_escaped(grid.claim)}*")


def _escaped(text: str) -> str:
    """Return a text as one line of Markdown with all markup escaped."""
    text = " ".join(printable(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", _MARKUP.sub(r"\\\1", text))
    return _LINE_START.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)
