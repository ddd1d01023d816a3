"""Agreement: pairs that languages or splits have in common, although a claim holds them apart.

Two pairs agree if their sentences have the same two texts, in either order, after the normalisation
of `tuner.data.overlap`. Some agree by chance: names and numbers are written alike in many
languages, and a corpus may hold a pair twice. But where more than half of them agree, a file was
copied or given twice, and what is called zero-shot would not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from jaxtyping import Int

from tuner.data.corpus import Split
from tuner.data.overlap import Overlap, Sentences
from tuner.errors import UserError

MOST = 0.5
"""The largest share of pairs that may agree."""
BEFORE: Mapping[Split, tuple[Split, ...]] = {
    "train": (),
    "dev": ("train",),
    "test": ("train", "dev"),
}
"""The splits that a split must not repeat."""
NONE = -1
"""In place of a pair's number where a language lacks it."""

Pairs = Mapping[str, Int[np.ndarray, " ids"]]
"""The number of each row's pair of texts, by language; equal pairs have equal numbers."""


@dataclass(frozen=True)
class Agreement:
    """The pairs of a corpus, by their texts.

    Attributes:
        pairs: the pairs of each split.
        known: the numbers of all pairs of a split in any language, ascending.
    """

    pairs: Mapping[Split, Pairs]
    known: Mapping[Split, Int[np.ndarray, " some"]]

    @classmethod
    def of(cls, overlap: Overlap) -> Agreement:
        """Compare the pairs of a corpus, whose sentences are known."""
        pairs = _pairs(overlap)
        every = {split: np.concatenate([*of.values()]) for split, of in pairs.items()}
        return cls(pairs, {split: np.unique(each[each != NONE]) for split, each in every.items()})

    def check(self) -> None:
        """Refuse languages, and splits, of which more than half of the pairs agree.

        Raises:
            UserError: two languages of a split do, or a split repeats an earlier one.
        """
        for split, languages in self.pairs.items():
            for first, second in combinations(languages, 2):
                both = (languages[first] != NONE) & (languages[second] != NONE)
                alike = int((languages[first] == languages[second])[both].sum())
                if alike > MOST * both.sum():
                    raise UserError(
                        f"{first} and {second} have the same sentences in {alike:,} of "
                        f"{int(both.sum()):,} pairs of {split}, as if one were a copy of the other",
                        f"Give each language its own text, or leave {first} or {second} out.",
                    )
            for language, other in product(languages, BEFORE[split]):
                repeated, pairs = self._repeated(split, language, other)
                if repeated > MOST * pairs:
                    raise UserError(
                        f"{repeated:,} of the {pairs:,} pairs in the {split} set of {language} are "
                        f"pairs of {other}, too",
                        f"Give {language} a {split} set that {other} does not hold.",
                    )

    @property
    def test_in_training(self) -> str:
        """The test pairs of each language that the training text holds, in words; "" if none."""
        counts = {
            each: self._repeated("test", each, "train") for each in self.pairs.get("test", {})
        }
        held = [f"{n:,} of {of:,} of {each}" for each, (n, of) in counts.items() if n]
        return f"test pairs that the training text holds: {', '.join(held)}" if held else ""

    def _repeated(self, split: Split, language: str, other: Split) -> tuple[int, int]:
        """Return how many pairs of a language another split has, in any language, and of how many.

        The few are looked up in the many, which are sorted once.
        """
        numbers = self.pairs[split][language]
        numbers, known = numbers[numbers != NONE], self.known.get(other, np.array([], np.int64))
        found = np.searchsorted(known, numbers)
        inside = found < len(known)
        return int((known[found[inside]] == numbers[inside]).sum()), len(numbers)


def _pairs(overlap: Overlap) -> dict[Split, Pairs]:
    texts = 1 + max(int(of_split.texts.max()) for of_split in overlap.sentences.values())
    return {split: _of_split(of_split, texts) for split, of_split in overlap.sentences.items()}


def _of_split(sentences: Sentences, texts: int) -> Pairs:
    """Return the pairs of a split; its sentences are ordered by language, two for each pair."""
    both = np.sort(sentences.texts.reshape(-1, 2), axis=1)
    numbers = both[:, 0] * texts + both[:, 1]
    rows = sentences.rows[::2]
    found, begin = {}, 0
    for language, clean in sentences.clean.items():
        end = begin + int(clean.sum())
        found[language] = np.full(len(sentences.ids), NONE, dtype=np.int64)
        found[language][rows[begin:end]] = numbers[begin:end]
        begin = end
    return found
