"""Agreement: pairs that languages or splits have in common, although a claim holds them apart.

Two pairs agree if their sentences have the same two texts, in either order, after the normalisation
of `tuner.data.overlap`. Some agree by chance: names and numbers are written alike in many
languages, and a corpus may hold a pair twice. But where more than half of them agree, a file was
copied or given twice, and what is called zero-shot would not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

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


def check_apart(overlap: Overlap) -> None:
    """Refuse languages, and splits, of which more than half of the pairs agree.

    Raises:
        UserError: two languages of a split do, or a split repeats an earlier one.
    """
    pairs = _pairs(overlap)
    for split, languages in pairs.items():
        for first, second in combinations(languages, 2):
            both = (languages[first] != NONE) & (languages[second] != NONE)
            alike = int((languages[first] == languages[second])[both].sum())
            if alike > MOST * both.sum():
                raise UserError(
                    f"{first} and {second} have the same sentences in {alike:,} of "
                    f"{int(both.sum()):,} pairs of {split}, as if one were a copy of the other",
                    f"Give each language its own text, or leave {first} or {second} out.",
                )
    for split, earlier in BEFORE.items():
        for language, numbers in pairs.get(split, {}).items():
            for other in earlier:
                repeated, known = _repeated(numbers, pairs.get(other, {})), numbers != NONE
                if repeated > MOST * known.sum():
                    raise UserError(
                        f"{repeated:,} of the {int(known.sum()):,} pairs in the {split} set of "
                        f"{language} are pairs of {other}, too",
                        f"Give {language} a {split} set that {other} does not hold.",
                    )


def repeated_in_training(overlap: Overlap) -> str:
    """Return in words how many test pairs of each language the training text holds; "" if none."""
    pairs = _pairs(overlap)
    counts = [
        f"{repeated:,} of {int((numbers != NONE).sum()):,} of {language}"
        for language, numbers in pairs.get("test", {}).items()
        if (repeated := _repeated(numbers, pairs.get("train", {})))
    ]
    return f"test pairs that the training text holds: {', '.join(counts)}" if counts else ""


def _repeated(numbers: Int[np.ndarray, " ids"], others: Pairs) -> int:
    """Return how many pairs another split has, in any of its languages."""
    known = np.unique(np.concatenate([*others.values(), [NONE]]))
    return int(np.isin(numbers, known[known != NONE]).sum())


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
