"""Blocks on a console: emphasised and wrapped in a terminal, plain in a log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from rich.console import Console
from rich.text import Text

from tuner.blocks import (
    HTML,
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
from tuner.blocks.columns import GAP, fitted
from tuner.shown import printable
from tuner.terminal.console import COLOURS
from tuner.terminal.progress import MARGIN, say

STYLES = {"plain": None, "answer": "bold", "note": "dim", "warning": "yellow"}
"""The style of a paragraph by its role."""
STATE = "state"
"""The heading of columns whose cells have the colours of states."""
Printed = Words | Points | Facts | Chart | Commands | Link | Grid


def show_blocks(blocks: Iterable[Block], console: Console, whole: bool = False) -> None:
    """Print blocks, and once below them each claim that no sentence among them states.

    Args:
        blocks: the blocks; a figure is printed as the table of its numbers, if it has one.
        console: the console to print on.
        whole: also print the rows of tables that are folded elsewhere.
    """
    printed = list(_printed(blocks))
    _show_blocks(printed, console, whole)
    _claims(printed, console)


def show_page(page: Page, console: Console, whole: bool = False) -> None:
    """Print a page's brief sections, the answer last, where the reader of a terminal looks first.

    Args:
        page: the page.
        console: the console to print on.
        whole: also print the rows of tables that are folded elsewhere.
    """
    say(console, printable(f"{page.title}, {page.kind}: {', '.join(page.status)}"), "bold")
    answer, *others = (section for section in page.sections if section.brief)
    every: list[Printed] = []
    for section in (*others, answer):
        printed = list(_printed(section.blocks))
        every += printed
        console.print()
        say(console, printable(section.title), "bold")
        _show_blocks(printed, console, whole)
    _claims(every, console, page.claim)


def _printed(blocks: Iterable[Block]) -> Iterator[Printed]:
    """Yield the blocks that a console can print."""
    for block in blocks:
        if isinstance(block, SideBySide):
            yield from _printed(block.figures)
        elif not isinstance(block, Figure):
            yield block
        elif block.numbers is not None:
            yield block.numbers


def _show_blocks(blocks: Iterable[Printed], console: Console, whole: bool) -> None:
    """Print blocks; an empty line sets off whatever is not a sentence."""
    before: Printed | None = None
    for block in blocks:
        sentences = all(isinstance(each, Words | Points | Link) for each in (before, block))
        if before is not None and not sentences:
            console.print()
        _print(block, console, whole)
        before = block


def _print(block: Printed, console: Console, whole: bool) -> None:
    match block:
        case Words(text, role):
            say(console, printable(text), STYLES[role])
        case Points(items):
            for item in items:
                say(console, f"- {printable(item)}")
        case Facts(items):
            _facts(items, console)
        case Chart(lines):
            for line in lines:
                console.print(Text(printable(line)), no_wrap=True, overflow="crop")
        case Commands(intro, lines):
            say(console, printable(intro))
            for line in lines:  # unwrapped, so that they can be copied
                console.print(Text(f"  {printable(line)}"), soft_wrap=True)
        case Link(text, study):
            say(console, printable(f"{text}: {study}/{HTML}"))
        case Grid():
            _table(block, console, whole)


def _facts(items: tuple[tuple[str, str], ...], console: Console) -> None:
    """Print names in a column, and the texts beside them."""
    margin = max(len(name) for name, _ in items) + GAP
    for name, text in items:
        beside = Text(printable(text))
        lines = [beside]
        if console.is_terminal:
            lines = list(beside.wrap(console, max(1, console.width - MARGIN - margin)))
        for number, line in enumerate(lines):
            lead = printable(name) if number == 0 else ""
            console.print(Text.assemble((lead.ljust(margin), "dim"), line), soft_wrap=True)


def _table(grid: Grid, console: Console, whole: bool) -> None:
    if grid.caption:
        say(console, printable(grid.caption))
    rows = grid.rows if whole else grid.open_rows
    cells = [[_one_line(cell) for cell in row] for row in rows]
    headings = [_one_line(name) for name in grid.columns]
    for number, part in enumerate(fitted(headings, cells, grid.left, console.width)):
        if number:
            console.print()
        states = [headings[place] == STATE for place in part.places]
        for line in part.head():
            _line(line, "dim", [], console)
        for place, row in enumerate(cells):
            for line in part.lines(row):
                _line(line, "bold" if place in grid.strong else "", states, console)
    if len(rows) < len(grid.rows):
        say(console, printable(f"… and {grid.folded}"), "dim")


def _line(cells: Sequence[str], style: str, states: Sequence[bool], console: Console) -> None:
    """Print a line of a table, with the cells that are states in their colours."""
    colours = [
        COLOURS.get(cell.strip(), "") if is_state else ""
        for cell, is_state in zip_longest(cells, states)
    ]
    parts = [Text(cell, colour) for cell, colour in zip(cells, colours, strict=True)]
    text = Text(" " * GAP).join(parts)
    text.rstrip()
    text.stylize_before(style)
    console.print(text, soft_wrap=True)


def _claims(blocks: Iterable[Printed], console: Console, claim: str = "") -> None:
    """Print the claims of tables and of a page, apart from those that a sentence states."""
    claims, sentences = [claim], ""
    for block in blocks:
        match block:
            case Grid():
                claims.append(block.claim)
            case Words(text):
                sentences += text
            case Points(items):
                sentences += " ".join(items)
            case _:
                pass
    for each in dict.fromkeys(claims):
        if each not in sentences:
            console.print()
            say(console, printable(each), "dim")


def _one_line(cell: str) -> str:
    return " ".join(printable(cell).split())
