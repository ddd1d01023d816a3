"""Blocks as Markdown, with the tables of their numbers in place of figures."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tuner.blocks import (
    HTML,
    MARKDOWN,
    Block,
    Chart,
    Commands,
    Facts,
    Figure,
    Grid,
    Link,
    Page,
    Points,
    SideBySide,
    Words,
)
from tuner.shown import printable

_MARKUP = re.compile(r"([\\`*\[\]|~])")
_LINE_START = re.compile(r"^([-+=]|#+|\d+[.)])(?=\s|$)")


def markdown(page: Page) -> str:
    """Return a page as Markdown; all text is escaped."""
    lines = [f"# {_escaped(page.title)}", "", _escaped(f"{page.kind}: {', '.join(page.status)}")]
    if page.description:
        lines += ["", _escaped(page.description)]
    lines += ["", f"**{_escaped(page.claim)}**"]
    for section in page.sections:
        lines += ["", f"## {_escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_lines(block)]
    return "\n".join(lines) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Words(text, role):
            mark = {"answer": "**", "note": "*", "warning": "", "plain": ""}[role]
            lead = "> " if role == "warning" else ""
            yield f"{lead}{mark}{_escaped(text)}{mark}"
        case Points(items):
            yield from (f"- {_escaped(item)}" for item in items)
        case Facts(facts):
            yield from (f"- **{_escaped(name)}**: {_escaped(text)}" for name, text in facts)
        case Chart(lines):
            yield from (f"    {printable(line)}" for line in lines)
        case Commands(intro, lines):
            yield from (_escaped(intro), "")
            yield from (f"    {printable(line)}" for line in lines)
        case Link(text, study):
            yield f"[{_escaped(text)}](../{study}/{MARKDOWN})"
        case Grid():
            yield from _table(block)
        case SideBySide(figures):
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
    if grid.claim:
        yield from ("", f"*{_escaped(grid.claim)}*")


def _escaped(text: str) -> str:
    """Return a text as one line of Markdown with all markup escaped."""
    text = " ".join(printable(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", _MARKUP.sub(r"\\\1", text))
    return _LINE_START.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)
