"""Overlap detection: pairs that share sentences, within dev and test and between the splits.

Two pairs share a sentence if any sentence of one, on either side and in any language of the study,
has exactly the text of any sentence of the other. Texts are compared after Unicode normalisation
(NFC); runs of white space become one blank, and white space at the ends is removed. Case and
punctuation count. The language does not: a sentence that a translator left in English equals the
English sentence.

The answers to such pairs are not independent. The statistics therefore sample clusters, not pairs:
the connected components of the graph whose nodes are the pairs of a split (its ids, whatever the
language) and whose edges are shared sentences. In the official test set of PAWS-X, 2,000 pairs form
1,238 components by the English text alone, and 1,168 by the text of all seven languages.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from tuner.data.corpus import Corpus, Row, Split
from tuner.errors import UserError
from tuner.journal.arrays import bits_as_text, ints_as_text, text_as_bits, text_as_ints
from tuner.journal.facts import OverlapFacts, SharedSentences, SplitRows

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
EVALUATED: tuple[Split, ...] = ("dev", "test")
"""The splits that are scored, for which components are computed."""
NEW_STUDY = "Give the study's own languages. A study of an older version must be run again."


@dataclass(frozen=True)
class Sentences:
    """The sentences of a split, with their pairs and texts.

    Attributes:
        ids: ids of the pairs, in the order of rows, as in `TokenisedSplit`.
        clean: for each language, true for the rows that are clean in it.
        rows: the row of each sentence's pair.
        texts: the number of each sentence's text; equal texts have equal numbers.
    """

    ids: tuple[str, ...]
    clean: dict[str, Bool[np.ndarray, " ids"]]
    rows: Int[np.ndarray, " sentences"]
    texts: Int[np.ndarray, " sentences"]

    def holding(self, texts: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " ids"]:
        """Return a mask of the pairs that have a sentence with one of these texts."""
        found = np.zeros(len(self.ids), dtype=bool)
        found[self.rows[np.isin(self.texts, texts)]] = True
        return found


@dataclass(frozen=True)
class Overlap:
    """The sentences that the pairs of a corpus share.

    Attributes:
        sentences: the sentences of each split of the corpus.
        components: for dev and test, the component of every row. Components are numbered from 0 in
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
        """Return a mask of a split's pairs that share a sentence with a pair of another split."""
        return self.sentences[split].holding(self.sentences[other].texts)

    @property
    def counts(self) -> dict[str, SharedSentences]:
        """The counts of each split.

        `effective_ids` is (Σ n)² / Σ n² over the sizes n of the components. The split is worth that
        many independent pairs if all pairs of a component are answered alike (Kish's effective
        sample size, with the components' sizes as weights).
        """
        counts: dict[str, SharedSentences] = {}
        for split, sentences in self.sentences.items():
            others = [other for other in self.sentences if other != split]
            counts[split] = SharedSentences(
                ids=len(sentences.ids),
                shared={other: int(self.shared(split, other).sum()) for other in others},
            )
        for split, components in self.components.items():
            sizes = np.bincount(components)
            of_components = {
                "components": len(sizes),
                "effective_ids": float(sizes.sum() ** 2 / np.square(sizes).sum()),
            }
            counts[split] = counts[split].model_copy(update=of_components)
        return counts

    @property
    def facts(self) -> OverlapFacts:
        """The facts for the study's journal: `counts`, and the rows that `components_of` reads."""
        rows: dict[str, SplitRows] = {
            split: SplitRows(
                components=ints_as_text(components),
                clean={
                    language: bits_as_text(clean)
                    for language, clean in self.sentences[split].clean.items()
                },
            )
            for split, components in self.components.items()
        }
        return OverlapFacts(counts=self.counts, rows=rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line per split for the user: `dev: 500 pairs in 250 groups that share sentences; …`."""
        lines = []
        for split, counts in self.counts.items():
            line = f"{split}: {counts.ids:,} pairs"
            if counts.components is not None:
                line += f" in {counts.components:,} groups that share sentences"
            shared = [_shares(n, other) for other, n in counts.shared.items() if n]
            if others := " or ".join(counts.shared):
                line += f"; {', '.join(shared) or f'no pair shares a sentence with {others}'}"
            lines.append(line)
        return tuple(lines)


def without_shared(corpus: Corpus, overlap: Overlap) -> Corpus:
    """Apply `protocol.strict_overlap`: drop overlapping pairs, and note what was dropped.

    Test stays whole, because the claim is about it. A dev pair is dropped in all languages if it
    shares a sentence with test. A training pair is dropped in all languages if it shares one with
    test or with the remaining dev pairs.

    Args:
        corpus: the pairs.
        overlap: the overlap of this corpus.

    Raises:
        UserError: a language loses all its dev pairs, or all those of a class; or some class has
            no training pair left that is clean in all languages.
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
    counts = [
        f"{int(gone.sum()):,} of {len(gone):,} {split} pairs, which share a sentence with {later}"
        for split, gone in dropped.items()
        if (later := " or ".join(name for name in EVALUATED if name in read and name != split))
    ]
    note = f"protocol.strict_overlap: dropped {'; '.join(counts) or 'nothing: there is no test'}"
    return replace(corpus, rows=rows, notes=(*corpus.notes, note))


def components_of(
    overlap: OverlapFacts, split: Split, language1: str, language2: str
) -> Int[np.ndarray, " pairs"]:
    """Return the component of every pair of an evaluation set, from a study's record alone.

    The pairs are those clean in both languages, in ascending order of rows. This is also the order
    of `Predictions` and of an evaluation's `answers`. A component has the same number in every set
    of the split.

    Args:
        overlap: the overlap in the facts of the study's record.
        split: dev or test.
        language1: language of sentence1.
        language2: language of sentence2.

    Raises:
        UserError: an older version wrote the record, or it is damaged, or it lacks this set.
    """
    try:
        rows = overlap.rows[split]
        components = text_as_ints(rows.components)
        clean1, clean2 = (
            text_as_bits(rows.clean[language], len(components))
            for language in (language1, language2)
        )
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the study's record does not say which {split} pairs of {language1} and {language2} "
            f"share sentences ({type(error).__name__}: {error})",
            NEW_STUDY,
        ) from error
    return np.asarray(components[clean1 & clean2])


def _shares(pairs: int, other: str) -> str:
    return f"{pairs:,} {'pair shares' if pairs == 1 else 'pairs share'} a sentence with {other}"


def _sentences(corpus: Corpus, split: Split, numbers: dict[str, int]) -> Sentences:
    """Collect the sentences of a split; `numbers` maps texts to numbers and gains the new ones."""
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
    """Find components by union-find: join each row with the first row that has the same text."""
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
    """Refuse a corpus without enough pairs left for training or for model selection."""
    spare = "Leave protocol.strict_overlap out, or use data whose splits share fewer sentences."
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
    """Return the labels of the ids that every language has."""
    first, *others = languages.values()
    return {row.label for id_, row in first.items() if all(id_ in rows for rows in others)}
