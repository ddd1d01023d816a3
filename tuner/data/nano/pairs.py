"""The nano corpus: aligned paraphrase pairs in the seven languages, in PAWS-X's shape.

Every meaning gives two neighbouring pairs with the same first sentence: a paraphrase (label 1: the
same meaning in another surface) and a near miss (label 0: also another surface, and either the
roles swapped or one slot changed). Both labels are therefore equally frequent, and a first sentence
never reveals its label.

Training text outside English is "machine-translated": each slot except the names is mistranslated
with probability `MISTRANSLATION`, in the same way in all sentences of one meaning. Monolingual
pairs keep their correct labels; cross-lingual pairs become noisy. Dev and test are translated
faithfully.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import NamedTuple

from tuner.data.corpus import Row, Split
from tuner.data.nano.languages import (
    CONCEPTS,
    NEAR,
    ROLES,
    SLOTS,
    SURFACES,
    WORDINGS,
    Meaning,
    Surface,
    change_slot,
    random_meaning,
    say,
    swap_roles,
)

PAIRS: dict[Split, int] = {"train": 4000, "dev": 500, "test": 1000}
ROLE_SWAPS = 0.3  # share of the near misses; in the others one slot changes
REWORDING_NEAR, REWORDING_FAR = 0.03, 0.5  # chance of a slot's other word in the second sentence
MISTRANSLATION = 0.03  # chance for each slot except the names, in training text outside English


class PairFamily(NamedTuple):
    """A meaning, its near miss, and the surfaces of sentence, paraphrase and near miss."""

    meaning: Meaning
    near_miss: Meaning
    surfaces: tuple[Surface, Surface, Surface]


@cache
def families() -> dict[Split, list[PairFamily]]:
    """Generate the families of each split. No meaning occurs in two families."""
    random = Random("nano meanings")
    taken: set[Meaning] = set()

    def family() -> PairFamily:
        while True:
            meaning = random_meaning(random)
            if random.random() < ROLE_SWAPS:
                near_miss = swap_roles(meaning)
            else:
                near_miss = change_slot(meaning, random.choice(SLOTS), random)
            if taken.isdisjoint({meaning, near_miss}):
                taken.update({meaning, near_miss})
                first = random.choice(SURFACES)
                others = [surface for surface in SURFACES if surface != first]
                surfaces = (first, random.choice(others), random.choice(others))
                return PairFamily(meaning, near_miss, surfaces)

    return {split: [family() for _ in range(pairs // 2)] for split, pairs in PAIRS.items()}


def _mistranslate(meanings: list[Meaning], random: Random) -> list[Meaning]:
    """Replace some concepts by others, equal concepts in the same way in all meanings."""
    for slot in SLOTS:
        if slot not in ROLES and random.random() < MISTRANSLATION:
            n = getattr(CONCEPTS, slot)
            shift = random.randrange(1, n)
            meanings = [m._replace(**{slot: (getattr(m, slot) + shift) % n}) for m in meanings]
    return meanings


def _reword(wording: Meaning, probability: float, random: Random) -> Meaning:
    """Exchange each slot's word for its other one with the given probability."""
    return Meaning(*(1 - word if random.random() < probability else word for word in wording))


@cache
def _rows(language: str, split: Split) -> tuple[Row, ...]:
    random = Random(f"nano wording {language} {split}")
    rewording = REWORDING_NEAR if language in NEAR else REWORDING_FAR
    rows: list[Row] = []
    for meaning, near_miss, surfaces in families()[split]:
        meanings = [meaning, meaning, near_miss]
        if split == "train" and language != "en":
            meanings = _mistranslate(meanings, random)
        wording = Meaning(*(random.randrange(WORDINGS) for _ in SLOTS))
        wordings = [wording, *(_reword(wording, rewording, random) for _ in range(2))]
        sentence, paraphrase, miss = (
            " ".join(token.word for token in say(language, *what))
            for what in zip(meanings, surfaces, wordings, strict=True)
        )
        for other, label in ((paraphrase, 1), (miss, 0)):
            rows.append(Row(f"{split}-{len(rows)}", sentence, other, label))
    return tuple(rows)


def rows(language: str, split: Split) -> list[Row]:
    """Return the pairs of one language and split; ids are parallel over all languages."""
    return list(_rows(language, split))
