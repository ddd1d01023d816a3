"""Examples that several tests of this room share."""

from __future__ import annotations

from tuner.report.page.blocks import Block, Page, Side, Words


def blocks_of(page: Page, title: str) -> list[Block]:
    section = next(section for section in page.sections if section.title.startswith(title))
    return [
        part
        for block in section.blocks
        for part in (block.figures if isinstance(block, Side) else (block,))
    ]


def words_of(page: Page, title: str) -> str:
    return " ".join(block.text for block in blocks_of(page, title) if isinstance(block, Words))
