"""The corpus: sentence pairs aligned by id across languages, for each split."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tuner.errors import UserError
from tuner.study.data import Split as Split

MAX_REASONS = 5
"""The number of reasons for dropped rows that a note lists per language, most frequent first."""
Unit = Literal["line", "row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One pair in one language. The same `id` is the same pair in every language of a split.

    `label` is the index of its class, from 0.
    """

    id: str
    sentence1: str
    sentence2: str
    label: int


@dataclass(frozen=True, slots=True)
class SplitReading:
    """One language of one split as a source gave it: its clean rows and its dropped ones.

    Attributes:
        origin: the file, or its equivalent in messages.
        rows: clean rows by id.
        dropped: the reason why a row was dropped, in a word or two, by id.
        places: the line or row of `origin` of every id, clean or dropped.
        unit: the unit that `places` count.
    """

    origin: str
    rows: Mapping[str, Row]
    dropped: Mapping[str, str]
    places: Mapping[str, int]
    unit: Unit = "line"

    def place(self, id_: str) -> str:
        """Return the place of an id, for messages."""
        return f"{self.origin}, {self.unit} {self.places[id_]}"


@dataclass(frozen=True)
class Corpus:
    """Aligned pairs.

    Attributes:
        languages: all languages, in the requested order.
        labels: names of the classes, in their order; two or more.
        rows: split → language → id → row; clean rows only. `train` holds the training languages;
            `test` holds those that have a test set, and is absent if none has.
        notes: what was dropped and assumed, one line each.
        machine_translated: true if some training text is machine translation; None if unknown.
    """

    languages: tuple[str, ...]
    labels: tuple[str, ...]
    rows: dict[Split, dict[str, dict[str, Row]]]
    notes: tuple[str, ...]
    machine_translated: bool | None

    def ids(self, split: Split) -> tuple[str, ...]:
        """Return the ids of a split in the order of row indices, not that of the files."""
        ids = {id_ for rows in self.rows[split].values() for id_ in rows}
        return tuple(sorted(ids, key=lambda id_: (len(id_), id_)))  # 2 before 10

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 of all clean rows, whatever the order of rows, files and languages."""
        return self._digest(*self.rows)

    def checksum_of(self, split: Split) -> str:
        """Return the checksum of one split."""
        return self._digest(split)

    def items_of(self, split: Split) -> dict[str, str]:
        """Return a checksum of each language's rows of a split, whatever the language is called."""
        found = {}
        for language, rows in self.rows.get(split, {}).items():
            digest = hashlib.sha256()
            for _, row in sorted(rows.items()):
                fields = (row.id, row.sentence1, row.sentence2, row.label)
                digest.update(json.dumps(fields).encode() + b"\n")
            found[language] = digest.hexdigest()
        return found

    def _digest(self, *splits: Split) -> str:
        digest = hashlib.sha256()
        for split in sorted(splits):
            for language, rows in sorted(self.rows[split].items()):
                for _, row in sorted(rows.items()):
                    fields = (split, language, row.id, row.sentence1, row.sentence2, row.label)
                    digest.update(json.dumps(fields).encode() + b"\n")
        return digest.hexdigest()


def align(
    split: Split, readings: Mapping[str, SplitReading], labels: Sequence[str]
) -> tuple[dict[str, dict[str, Row]], str]:
    """Join the languages of a split by id.

    Args:
        split: train, dev or test.
        readings: the reading of each language.
        labels: names of the classes.

    Returns:
        Clean rows by language and id, and a note. The note gives the number of ids that are clean
        in all languages, and the rows dropped per language with the reasons.

    Raises:
        UserError: an id has different labels in two languages; a language has no clean row, or no
            clean row of some class; or `train` has no id, or no id of some class, that is clean in
            all languages.
    """
    rows = {language: dict(reading.rows) for language, reading in readings.items()}
    for language, reading in readings.items():
        if not reading.rows:
            raise UserError(
                f"{reading.origin} has no clean row for {language}{_dropped(reading)}",
                "A clean row has two sentences, neither blank nor NS, and a label. Leave test out "
                "if its labels are withheld.",
            )
    _check_labels(readings, labels)
    clean_in_all = set.intersection(*(set(clean) for clean in rows.values()))
    if split == "train" and not clean_in_all:
        raise UserError(
            f"no id of the training split is clean in all of {', '.join(readings)}",
            "The same id must be the same pair in every language; check the id columns of "
            + ", ".join(reading.origin for reading in readings.values()),
        )
    for language, reading in readings.items():
        _check_classes(split, {language: reading}, labels, reading.rows)
    if split == "train":
        _check_classes(split, readings, labels, clean_in_all)
    return rows, _note(split, readings, len(clean_in_all))


def _check_labels(readings: Mapping[str, SplitReading], labels: Sequence[str]) -> None:
    first: dict[str, SplitReading] = {}
    for reading in readings.values():
        for id_, row in reading.rows.items():
            other = first.setdefault(id_, reading)
            if other.rows[id_].label != row.label:
                raise UserError(
                    f"{reading.place(id_)}: id {id_} has label {labels[row.label]}, "
                    f"but label {labels[other.rows[id_].label]} in {other.place(id_)}",
                    "The same id must be the same pair, with the same label, in every language.",
                )


def _check_classes(
    split: Split, readings: Mapping[str, SplitReading], labels: Sequence[str], ids: Collection[str]
) -> None:
    """Refuse a class without pairs: scores would silently cover only the other classes."""
    first = next(iter(readings.values()))
    there = {first.rows[id_].label for id_ in ids}
    missing = [label for number, label in enumerate(labels) if number not in there]
    if missing:
        where = f"{first.origin}: no clean row for {next(iter(readings))}"
        if len(readings) > 1:
            where = f"no pair of {split} that is clean in all of {', '.join(readings)}"
        raise UserError(
            f"{where} has the label {', '.join(missing)}{_dropped(*readings.values())}",
            "Every split needs pairs of every class, in every language: add some, correct the "
            "labels in the files, or list only the classes that occur in data.labels "
            "(with data.source: files or hub).",
        )


def _dropped(*readings: SplitReading) -> str:
    """Describe why rows are missing, for example `; dropped: 3 NS + 2 no label`."""
    counts = Counter(reason for reading in readings for reason in reading.dropped.values())
    text = " + ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    return f"; dropped: {text}" if text else ""


def _note(split: Split, readings: Mapping[str, SplitReading], clean_in_all: int) -> str:
    """Summarise, e.g. `dev: 1,962 of 2,000 ids clean in all of en, es; dropped: es 38 NS`."""
    ids = set[str]().union(*(reading.places for reading in readings.values()))
    losses = []
    for language, reading in readings.items():
        reasons = list(reading.dropped.values()) + ["absent"] * (len(ids) - len(reading.places))
        if reasons:
            counts = Counter(sorted(reasons)).most_common()
            words = [f"{count:,} {reason}" for reason, count in counts[:MAX_REASONS]]
            if others := sum(count for _, count in counts[MAX_REASONS:]):
                words.append(f"{others:,} for other reasons")
            losses.append(f"{language} {' + '.join(words)}")
    return (
        f"{split}: {clean_in_all:,} of {len(ids):,} ids clean in all of {', '.join(readings)}; "
        f"dropped: {', '.join(losses) or 'none'}"
    )
