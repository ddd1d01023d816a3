"""Labels: the mapping from the labels in the data to classes.

The mapping never guesses. A label outside the classes is an error. So are two labels that differ
only in case, in white space or in the form of a number.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from tuner.data.sources.cells import as_text
from tuner.data.sources.tables import SourceTable
from tuner.errors import UserError
from tuner.study.data import Label
from tuner.study.labels import folded
from tuner.wording import count

NO_LABEL = frozenset({"", "-", "nan", "null"})
"""Texts for a missing label, in any case; XNLI and SNLI write `-` where annotators disagreed."""
WITHHELD = "-1"
"""The text for a missing label where all classes are non-negative numbers."""

MAX_CLASSES = 20
"""The most labels that are inferred from the data without a list; more are unlikely classes."""


@dataclass(frozen=True)
class Classes:
    """The classes of a corpus.

    Attributes:
        names: names in class order, two or more.
        origin: where the classes come from, for messages.
        numbers: the class of every label, including other names of a class.
        first: the place where each label was first found; empty if classes were listed or declared.
        listable: true if `data.labels` can change them.
    """

    names: tuple[str, ...]
    origin: str
    numbers: Mapping[str, int]
    first: Mapping[str, str] = field(default_factory=dict)
    listable: bool = True

    def number(self, label: str) -> int | None:
        """Return the class of a label; None if the label is missing.

        Raises:
            KeyError: the label is not of any class.
        """
        if label in self.numbers:
            return self.numbers[label]
        if self._is_missing(label):
            return None
        raise KeyError(label)

    def check(self, table: SourceTable) -> None:
        """Refuse a table with a label that is not of any class.

        Raises:
            UserError: there is one; the message names its place and the nearest class.
        """
        unknown = Counter(
            label
            for label in table.labels
            if label not in self.numbers and not self._is_missing(label)
        )
        if unknown:
            row = next(row for row, label in enumerate(table.labels) if label in unknown)
            raise self._unknown(table, row, unknown)

    def _is_missing(self, label: str) -> bool:
        return is_missing(label) or (label == WITHHELD and all(map(str.isdecimal, self.names)))

    def _unknown(self, table: SourceTable, row: int, unknown: Counter[str]) -> UserError:
        label = table.labels[row]
        near = self._nearest(label)
        others = unknown.total() - 1
        problem = (
            f"{table.place(row)}: the label {label[:40]!r} is not one of {', '.join(self.names)} "
            f"({self.origin})"
            + (f"; the nearest is {near}" if near else "")
            + (f"; {count(others, 'other row')} with unknown labels" if others else "")
        )
        if not self.listable:
            return UserError(problem, "Correct the file, or read it with data.source: files.")
        if near:
            same = folded(label) == folded(near)
            return UserError(
                problem,
                f"{'Spell both alike' if same else 'Correct it'}, or, if it is the same class, "
                f"set data.labels: {self._with(near, label)}",
            )
        return UserError(
            problem,
            "List all classes in data.labels, name the column of the classes in data.columns, or "
            "correct the file.",
        )

    def _nearest(self, label: str) -> str:
        by_form = {folded(name): self.names[number] for name, number in self.numbers.items()}
        close = get_close_matches(folded(label)[:100], by_form, n=1)
        return by_form[close[0]] if close else ""

    def _with(self, name: str, other: str) -> str:
        """Return the setting `data.labels` with one more label of a class."""
        every = [
            [of, *self._other_names(of), *([other] if of == name else [])] for of in self.names
        ]
        return f"[{', '.join(map(_written, every))}]"

    def _other_names(self, name: str) -> list[str]:
        number = self.names.index(name)
        return [label for label, of in self.numbers.items() if of == number and label != name]


def is_missing(label: str) -> bool:
    """Return true if a text stands for a missing label."""
    return label.strip().lower() in NO_LABEL


def listed_classes(labels: Sequence[Label | tuple[Label, ...]]) -> Classes:
    """Return the classes that `data.labels` lists."""
    classes = [each if isinstance(each, tuple) else (each,) for each in labels]
    numbers = {as_text(name): number for number, each in enumerate(classes) for name in each}
    return Classes(tuple(as_text(each[0]) for each in classes), "data.labels", numbers)


def declared_classes(tables: Sequence[SourceTable], listable: bool) -> Classes | None:
    """Return the classes that the source declares; None if it declares none.

    Raises:
        UserError: two tables declare different classes.
    """
    first = tables[0]
    for table in tables:
        if table.classes != first.classes:
            raise UserError(
                f"{table.origin} has the labels {', '.join(table.classes) or '(undeclared)'}, "
                f"but {first.origin} has {', '.join(first.classes) or '(undeclared)'}",
                "Every language and split must have the same labels. List them in data.labels.",
            )
    if not first.classes:
        return None
    numbers = {name: number for number, name in enumerate(first.classes)}
    return Classes(first.classes, "declared by the data", numbers, listable=listable)


def found_classes(tables: Sequence[SourceTable]) -> Classes:
    """Infer the classes from the labels that occur, sorted; whole numbers sort as numbers.

    Raises:
        UserError: there are fewer than two labels or too many; two labels differ only in form; or
            a number is negative, which may be a class or a missing label.
    """
    check_forms(tables)
    first = _first_places(tables)
    whole = all(re.fullmatch(r"-?\d+", label) for label in first)
    names = sorted(first, key=int) if whole else sorted(first)
    shown = ", ".join(map(repr, names[:MAX_CLASSES])) or "none"
    if not 2 <= len(names) <= MAX_CLASSES:
        raise UserError(
            f"{tables[0].origin} has {len(names):,} different labels ({shown:.200})",
            "Name the column of the classes in data.columns, and list them in data.labels.",
        )
    if whole and names[0].startswith("-"):
        listed = ", ".join(name for name in names if not name.startswith("-"))
        raise UserError(
            f"{first[names[0]]}: the label {names[0]} may be a class, or may mark a missing label",
            f"List the classes in data.labels: [{', '.join(names)}], or [{listed}] if "
            f"{WITHHELD} stands for a missing label.",
        )
    numbers = {name: number for number, name in enumerate(names)}
    return Classes(tuple(names), f"found in {tables[0].split}", numbers, first)


def check_forms(tables: Sequence[SourceTable]) -> None:
    """Refuse labels that differ only in case, white space or the form of a number.

    Raises:
        UserError: these tables have two such labels.
    """
    first = _first_places(tables)
    counts = Counter(label for table in tables for label in table.labels if label in first)
    forms: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label != label.strip())):
        forms.setdefault(folded(label), []).append(label)
    for usual, *others in forms.values():
        if others:
            every = ", ".join(map(_written, sorted(forms.values())))
            raise UserError(
                f"{first[others[0]]}: the label {others[0]!r} differs only in form from {usual!r} "
                f"in {first[usual]}",
                f"Spell both the same way, or list all classes and say which labels are the same: "
                f"data.labels: [{every}]",
            )


def _first_places(tables: Sequence[SourceTable]) -> dict[str, str]:
    """Return each label that is not missing, with the place where it first occurs."""
    first: dict[str, str] = {}
    for table in tables:
        for row, label in enumerate(table.labels):
            if label not in first and not is_missing(label):
                first[label] = table.place(row)
    return first


def _written(names: Sequence[str]) -> str:
    """Return a class in YAML, with its other names if it has any."""
    quoted = [
        name
        if re.fullmatch(r"[A-Za-z_][\w-]*|0|[1-9]\d*", name, re.ASCII) and name.lower() not in WORDS
        else json.dumps(name, ensure_ascii=False)
        for name in names
    ]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


WORDS = ("true", "false", "null", "none")
"""Labels that YAML would not read as text."""
