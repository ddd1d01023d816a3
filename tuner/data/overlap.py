"""Which pairs share sentences: within dev and test, and between the splits.

Two pairs share a sentence where any sentence of the one, on either side and in any language of the
study, has exactly the text of any sentence of the other, after Unicode's normalisation NFC, white
space being one blank or none at the ends. Case and punctuation count. Languages are not told apart:
what a translator left in English is the English sentence.

The answers to such pairs are not independent. Statistics resample not pairs but clusters: the
connected components of the graph whose nodes are the pairs of a split (its ids, whatever the
language) and whose edges are shared sentences. In the official test set of PAWS-X, 2,000 pairs are
in 1,238 components by its English text alone, 1,168 by that of all seven languages.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from tuner.data.corpus import Corpus, Row, Split
from tuner.errors import UserError
from tuner.journal.arrays import bits_as_text, ints_as_text, text_as_bits, text_as_ints

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVALUATED: tuple[Split, ...] = ("dev", "test")
"""Splits whose components are found: those that scores are of."""
NEW_STUDY = "Give the study's own languages; a study begun by an older version has to be run anew."


@dataclass(frozen=True)
class Sentences:
    """Where the sentences of a split are.

    Attributes:
        ids: of the pairs, in the order of rows, as in `TokenisedSplit`.
        clean: by language, whether it has the row.
        rows: of every sentence, its pair's row.
        texts: of every sentence, the number of its text; equal texts have equal numbers.
    """

    ids: tuple[str, ...]
    clean: dict[str, Bool[np.ndarray, " ids"]]
    rows: Int[np.ndarray, " sentences"]
    texts: Int[np.ndarray, " sentences"]

    def holding(self, texts: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " ids"]:
        """Which pairs have a sentence with one of these texts."""
        found = np.zeros(len(self.ids), dtype=bool)
        found[self.rows[np.isin(self.texts, texts)]] = True
        return found


@dataclass(frozen=True)
class Overlap:
    """What sentences the pairs of a corpus share.

    Attributes:
        sentences: by split, of those that the corpus has.
        components: of dev and test, the component of every row; the first row's is 0, and so on in
            the order of their first rows.
    """

    sentences: dict[Split, Sentences]
    components: dict[Split, Int[np.ndarray, " ids"]]

    @classmethod
    def of(cls, corpus: Corpus) -> Overlap:
        """Compare all sentences of a corpus."""
        numbers: dict[str, int] = {}
        present = [split for split in SPLITS if split in corpus.rows]
        sentences = {split: _sentences(corpus, split, numbers) for split in present}
        evaluated = [split for split in EVALUATED if split in sentences]
        return cls(sentences, {split: _components(sentences[split]) for split in evaluated})

    def shared(self, split: Split, other: Split) -> Bool[np.ndarray, " ids"]:
        """Which pairs of a split share a sentence with any of another split."""
        return self.sentences[split].holding(self.sentences[other].texts)

    @property
    def counts(self) -> dict[str, dict[str, Any]]:
        """By split: its ids, those that share a sentence with another split, its components.

        `effective_ids` is (Σ n)² / Σ n² over the sizes n of the components: so many independent
        pairs the split is worth where the pairs of a component are answered alike (Kish's effective
        sample size, with the components' sizes as weights).
        """
        counts: dict[str, dict[str, Any]] = {}
        for split, sentences in self.sentences.items():
            others = [other for other in self.sentences if other != split]
            counts[split] = {
                "ids": len(sentences.ids),
                "shared": {other: int(self.shared(split, other).sum()) for other in others},
            }
        for split, components in self.components.items():
            sizes = np.bincount(components)
            counts[split] |= {
                "components": len(sizes),
                "effective_ids": float(sizes.sum() ** 2 / np.square(sizes).sum()),
            }
        return counts

    @property
    def facts(self) -> dict[str, Any]:
        """For the study's journal: `counts`; and as texts what `components_of` reads."""
        rows = {
            split: {
                "components": ints_as_text(components),
                "clean": {
                    language: bits_as_text(clean)
                    for language, clean in self.sentences[split].clean.items()
                },
            }
            for split, components in self.components.items()
        }
        return {"counts": self.counts, "rows": rows}

    @property
    def notes(self) -> tuple[str, ...]:
        """For people, a line a split, as `dev: 500 pairs in 250 groups that share sentences; …`."""
        lines = []
        for split, counts in self.counts.items():
            line = f"{split}: {counts['ids']:,} pairs"
            if "components" in counts:
                line += f" in {counts['components']:,} groups that share sentences"
            shared = [_shares(n, other) for other, n in counts["shared"].items() if n]
            if others := " or ".join(counts["shared"]):
                line += f"; {', '.join(shared) or f'no pair shares a sentence with {others}'}"
            lines.append(line)
        return tuple(lines)


def without_shared(corpus: Corpus, overlap: Overlap) -> Corpus:
    """What `protocol.strict_overlap` leaves of a corpus, and a note of what it dropped.

    Test, which the claim is about, stays whole: a pair is dropped, in all languages, from dev where
    it shares a sentence with test, and from train where it shares one with test or with the dev
    that is left.

    Args:
        corpus: the pairs.
        overlap: its own.

    Raises:
        UserError: a language is left without dev, or nothing to train on, or not of every class.
    """
    read = overlap.sentences
    test = read["test"].texts if "test" in read else np.array([], dtype=np.int64)
    dropped: dict[Split, Bool[np.ndarray, " ids"]] = {"dev": read["dev"].holding(test)}
    if "train" in read:
        dev_left = ~dropped["dev"][read["dev"].rows]
        evaluated = np.concatenate([test, read["dev"].texts[dev_left]])
        dropped["train"] = read["train"].holding(evaluated)
    rows = dict(corpus.rows)
    for split, gone in dropped.items():
        kept = {id_ for id_, is_gone in zip(read[split].ids, gone, strict=True) if not is_gone}
        rows[split] = {
            language: {id_: row for id_, row in of_language.items() if id_ in kept}
            for language, of_language in rows[split].items()
        }
    _check_left(corpus.rows, rows, corpus.labels)
    told = [
        f"{int(gone.sum()):,} of {len(gone):,} {split} pairs, which share a sentence with {later}"
        for split, gone in dropped.items()
        if (later := " or ".join(name for name in EVALUATED if name in read and name != split))
    ]
    note = f"protocol.strict_overlap: dropped {'; '.join(told) or 'nothing: there is no test'}"
    return replace(corpus, rows=rows, notes=(*corpus.notes, note))


def components_of(
    facts: Mapping[str, Any], split: Split, language1: str, language2: str
) -> Int[np.ndarray, " pairs"]:
    """The component of every pair of an evaluation set, from a study's record alone.

    Pairs are those clean in both languages, in ascending order of rows: the order of `Predictions`
    and of an evaluation's `answers`. A component has the same number in every set of the split.

    Args:
        facts: of the study's record, whole.
        split: dev or test.
        language1: of sentence1.
        language2: of sentence2.

    Raises:
        UserError: the record does not say: it is older, damaged, or has no such set.
    """
    try:
        of_split = facts["overlap"]["rows"][split]
        components = text_as_ints(of_split["components"])
        clean1, clean2 = (
            text_as_bits(of_split["clean"][language], len(components))
            for language in (language1, language2)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the study's record does not say which {split} pairs of {language1} and {language2} "
            f"share sentences ({type(error).__name__}: {error})",
            NEW_STUDY,
        ) from error
    return np.asarray(components[clean1 & clean2])


def _shares(pairs: int, other: Split) -> str:
    return f"{pairs:,} {'pair shares' if pairs == 1 else 'pairs share'} a sentence with {other}"


def _sentences(corpus: Corpus, split: Split, numbers: dict[str, int]) -> Sentences:
    """Look up every text in `numbers`, or give it the next one there."""
    ids = corpus.ids(split)
    row_of = {id_: row for row, id_ in enumerate(ids)}
    clean, rows, texts = {}, [], []
    for language, of_language in corpus.rows[split].items():
        own = np.array([row_of[id_] for id_ in of_language], dtype=np.int64)
        clean[language] = np.zeros(len(ids), dtype=bool)
        clean[language][own] = True
        rows.append(np.repeat(own, 2))
        for row in of_language.values():
            for sentence in (row.sentence1, row.sentence2):
                texts.append(numbers.setdefault(_normal(sentence), len(numbers)))
    return Sentences(ids, clean, np.concatenate(rows), np.array(texts, dtype=np.int64))


def _normal(sentence: str) -> str:
    return " ".join(unicodedata.normalize("NFC", sentence).split())


def _components(sentences: Sentences) -> Int[np.ndarray, " ids"]:
    """Union-find over the rows: each is joined with the first that holds the same text."""
    parent = list(range(len(sentences.ids)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[int, int] = {}
    for row, text in zip(sentences.rows.tolist(), sentences.texts.tolist(), strict=True):
        one, other = root(row), root(first.setdefault(text, row))
        parent[max(one, other)] = min(one, other)  # a root is the first row of its component
    return np.unique([root(row) for row in range(len(parent))], return_inverse=True)[1]


def _check_left(
    before: Mapping[Split, Mapping[str, Mapping[str, Row]]],
    after: Mapping[Split, Mapping[str, Mapping[str, Row]]],
    labels: tuple[str, ...],
) -> None:
    """Refuse a corpus that nothing can be trained on or chosen by."""
    spare = "Leave protocol.strict_overlap out, or bring data whose splits share less."
    empty = [language for language, rows in after["dev"].items() if not rows]
    if empty:
        raise UserError(
            f"protocol.strict_overlap leaves no dev pair for {', '.join(empty)}: "
            "all share a sentence with test",
            spare,
        )
    for language, rows in after["dev"].items():
        gone = {row.label for row in before["dev"][language].values()}
        gone -= {row.label for row in rows.values()}
        if gone:
            names = ", ".join(labels[number] for number in sorted(gone))
            raise UserError(
                f"protocol.strict_overlap leaves no dev pair for {language} with the label "
                f"{names}: all share a sentence with test",
                spare,
            )
    if "train" in after:
        had, has = (_classes(splits["train"]) for splits in (before, after))
        if missing := had - has:
            names = ", ".join(labels[number] for number in sorted(missing))
            raise UserError(
                f"protocol.strict_overlap leaves no training pair that is clean in all of "
                f"{', '.join(after['train'])} with the label {names}: all share a sentence with "
                "dev or test",
                spare,
            )


def _classes(languages: Mapping[str, Mapping[str, Row]]) -> set[int]:
    """Labels of the ids that every language has."""
    first, *others = languages.values()
    return {row.label for id_, row in first.items() if all(id_ in rows for rows in others)}
