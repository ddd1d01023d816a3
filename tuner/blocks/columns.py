"""Tables of characters, fitted to the width of a console without losing a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

GAP = 2
"""Empty characters between two columns."""
LEAST_WORDS = 16
"""Least width to which a column of words is narrowed."""
_WORDS = re.compile(r"\S+\s*")
_PARTS = re.compile(r"[^\s._/]+[\s._/]*|[\s._/]+")


@dataclass(frozen=True)
class Columns:
    """Columns of a table that stand side by side.

    Attributes:
        places: the columns' places in the whole table.
        headings: their headings.
        widths: their widths in characters, as a terminal counts them.
        words: whether each holds words, which are aligned at the left and wrap.
    """

    places: tuple[int, ...]
    headings: tuple[str, ...]
    widths: tuple[int, ...]
    words: tuple[bool, ...]

    def head(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines of the headings, which end at the same line, as padded cells."""
        broken = [
            _filled(_PARTS.findall(heading), width)
            for heading, width in zip(self.headings, self.widths, strict=True)
        ]
        height = max(map(len, broken))
        yield from self._padded([[""] * (height - len(lines)) + lines for lines in broken])

    def lines(self, row: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Yield the lines of a row of the whole table, as padded cells of these columns."""
        cells = [
            _filled(_WORDS.findall(row[place]), width) if words else [row[place]]
            for place, width, words in zip(self.places, self.widths, self.words, strict=True)
        ]
        height = max(map(len, cells))
        yield from self._padded([lines + [""] * (height - len(lines)) for lines in cells])

    def _padded(self, cells: Iterable[Sequence[str]]) -> Iterator[tuple[str, ...]]:
        for parts in zip(*cells, strict=True):
            padded = []
            for text, width, words in zip(parts, self.widths, self.words, strict=True):
                space = " " * (width - cell_len(text))
                padded.append(text + space if words else space + text)
            yield tuple(padded)


def fitted(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: int, width: int
) -> list[Columns]:
    """Return the columns of a table in as few parts as fit a width.

    Headings break first, then columns of words become narrower. What still does not fit moves to
    another part, which begins with the first column again if that holds words. Numbers never break.

    Args:
        headings: the headings.
        rows: the cells, each of one line.
        left: number of leading columns that hold words.
        width: the width in characters.
    """
    places = range(len(headings))
    bodies = [max((cell_len(row[place]) for row in rows), default=0) for place in places]
    widths = [max(bodies[place], cell_len(headings[place])) for place in places]
    for place in sorted(places, key=lambda place: bodies[place] - widths[place]):
        if _total(widths) > width:
            longest = max(
                cell_len(part.rstrip()) for part in _PARTS.findall(headings[place]) or [""]
            )
            widths[place] = max(bodies[place], longest)
    for place in sorted(range(left), key=lambda place: -widths[place]):
        least = min(widths[place], LEAST_WORDS)
        widths[place] = max(least, widths[place] - max(0, _total(widths) - width))
    parts: list[list[int]] = [[]]
    for place in places:
        over = _total([widths[at] for at in (*parts[-1], place)]) > width
        if over and len(parts[-1]) > (left > 0):
            parts.append([0] if left else [])
        parts[-1].append(place)
    return [
        Columns(
            tuple(part),
            tuple(headings[place] for place in part),
            tuple(widths[place] for place in part),
            tuple(place < left for place in part),
        )
        for part in parts
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _filled(pieces: Iterable[str], width: int) -> list[str]:
    """Join pieces into lines of at most a width; longer pieces are cut."""
    lines = [""]
    for piece in pieces:
        if cell_len((lines[-1] + piece).rstrip()) <= width:
            lines[-1] += piece
            continue
        cut = chop_cells(piece.rstrip(), max(width, 2))
        lines = [
            *(line for line in lines if line),
            *cut[:-1],
            cut[-1] + piece[len(piece.rstrip()) :],
        ]
    return [line.rstrip() for line in lines]
