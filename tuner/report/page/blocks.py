"""What a page is made of, before it is HTML or Markdown: sections of words, tables and figures.

Both renderings are made from these blocks alone, so they hold the same words and numbers. A table
or figure cannot be made without the claim that its numbers carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Words:
    """A paragraph.

    Attributes:
        text: plain, of any origin: renderers escape it.
        role: `answer` stands out, `note` stands back, `warning` is a caveat to the numbers near it.
    """

    text: str
    role: Literal["plain", "answer", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Commands:
    """Lines to be copied into a shell.

    Attributes:
        intro: what they do.
    """

    intro: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Link:
    """Another study's page beside this one.

    Attributes:
        text: what it shows.
        study: the other study's name, which is its folder's.
    """

    text: str
    study: str


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        caption: what it shows, in a sentence or two.
        claim: what its numbers may be called.
        columns: headings.
        rows: cells as they are shown.
        left: how many leading columns hold words; the others hold numbers.
        strong: rows that stand out, by index.
        folded: the line to open it by, where it is long; empty: it stands open.
    """

    caption: str
    claim: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    strong: frozenset[int] = frozenset()
    folded: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.caption


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        svg: inline, its colours variables of the page's style.
        alt: what a reader who does not see it is told.
        caption: how to read it, in a sentence or two.
        claim: what its numbers may be called.
        numbers: what is drawn, as a table; None where a table of the page has them.
        wide: whether it takes the page's width, and scrolls in its own box on a phone.
    """

    svg: str
    alt: str
    caption: str
    claim: str
    numbers: Grid | None = None
    wide: bool = False


@dataclass(frozen=True)
class Side:
    """Figures side by side where there is room."""

    figures: tuple[Figure, ...]


Block = Words | Points | Commands | Link | Grid | Figure | Side


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Its name in an address: letters, digits and hyphens."""
        return "".join(c if c.isascii() and c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: the study's name.
        kind: what it is, as `search` or `confirmation`.
        status: facts in short, as its state and when it began.
        description: by its author.
        claim: of the study.
        sections: the answer first.
    """

    title: str
    kind: str
    status: tuple[str, ...]
    description: str
    claim: str
    sections: tuple[Section, ...]
