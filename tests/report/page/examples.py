"""Examples that several tests of this room share."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from rich.console import Console

from tuner.blocks import Block, Page, Section, SideBySide, Words
from tuner.blocks.console import show_blocks


def blocks_of(page: Page, title: str) -> list[Block]:
    section = next(section for section in page.sections if section.title.startswith(title))
    return [
        part
        for block in section.blocks
        for part in (block.figures if isinstance(block, SideBySide) else (block,))
    ]


def words_of(page: Page, title: str) -> str:
    return " ".join(block.text for block in blocks_of(page, title) if isinstance(block, Words))


def printed(sections: Iterable[Section], width: int) -> str:
    """Return what a console of a width shows of sections: the brief ones."""
    console = Console(file=StringIO(), width=width)
    show_blocks(
        (block for section in sections if section.brief for block in section.blocks), console
    )
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
