"""Blocks: words, tables and figures for people to read, independent of the output format.

The console, Markdown and HTML are rendered from these blocks alone, so they hold the same words and
numbers. Every table and figure requires the claim that its numbers carry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

HTML, MARKDOWN = "report.html", "report.md"
"""Names of a page's two files in a study's folder."""


@dataclass(frozen=True)
class Words:
    """A paragraph.

    Attributes:
        text: plain text of any origin; renderers escape it.
        role: `answer` is emphasised, `note` is muted, `warning` is a caveat to the numbers near it.
    """

    text: str
    role: Literal["plain", "answer", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """A list of short names, each with a text that may be longer."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A chart made of characters of equal width.

    Attributes:
        lines: its lines, each at most 80 characters.
        alt: the text for readers who cannot see it.
    """

    lines: tuple[str, ...]
    alt: str


@dataclass(frozen=True)
class Commands:
    """Lines to be copied into a shell.

    Attributes:
        intro: a sentence that says what they do.
    """

    intro: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """A link to another study's page.

    Attributes:
        text: the text of the link.
        study: the other study's name, which is also its folder's name.
    """

    text: str
    study: str


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        caption: one or two sentences about its content.
        claim: the claim that its numbers carry; empty if they are not results of a study.
        columns: headings; the column `state` holds the states of studies or trials.
        rows: cells as formatted text.
        left: number of leading columns that hold words; the others hold numbers.
        strong: indices of emphasised rows.
        folded: the label that unfolds a long table; empty if the table is always open.
        first: number of rows above the fold.
    """

    caption: str
    claim: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    strong: frozenset[int] = frozenset()
    folded: str = ""
    first: int = 0

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.caption

    @property
    def open_rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows that are visible before the table is unfolded."""
        return self.rows[: self.first] if self.folded else self.rows

    @property
    def folded_rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows below the fold."""
        return self.rows[self.first :] if self.folded else ()


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        draw: returns inline SVG whose colours are variables of the page's style; only the rendering
            as HTML calls it.
        alt: the text for readers who cannot see it.
        caption: one or two sentences on how to read it.
        claim: the claim that its numbers carry.
        numbers: the drawn numbers as a table; None if another table on the page has them.
        wide: whether it takes the page's width, and scrolls in its own box on a phone.
    """

    draw: Callable[[], str]
    alt: str
    caption: str
    claim: str
    numbers: Grid | None = None
    wide: bool = False


@dataclass(frozen=True)
class SideBySide:
    """Figures that stand side by side where there is room."""

    figures: tuple[Figure, ...]


Block = Words | Points | Facts | Chart | Commands | Link | Grid | Figure | SideBySide


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it.

    Attributes:
        title: the heading.
        blocks: the content.
        brief: whether it belongs to the short form of the page, which the console shows.
    """

    title: str
    blocks: tuple[Block, ...]
    brief: bool = False

    @property
    def anchor(self) -> str:
        """The section's name in a URL: letters, digits and hyphens."""
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: the study's name.
        kind: the kind of study, such as `search` or `confirmation`.
        status: short facts, such as its state and when it began.
        description: the study's description by its author.
        claim: the study's claim.
        sections: the sections; the first is the answer, which is brief.
    """

    title: str
    kind: str
    status: tuple[str, ...]
    description: str
    claim: str
    sections: tuple[Section, ...]
