"""Helpers that several tests of this room share."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from tuner.data.corpus import Corpus, Row
from tuner.data.nano.languages import (
    GRAMMAR,
    LEXICONS,
    Meaning,
    Slot,
)

Texts = dict[str, dict[str, str]]
"""Language → id → both sentences, a word each."""


def corpus_of(labels: str = "01", **splits: Texts) -> Corpus:
    """Pairs whose label is whether their id is odd."""
    languages = tuple(dict.fromkeys(language for split in splits.values() for language in split))
    rows: Any = {
        split: {
            language: {
                id_: Row(id_, *texts.split("/"), int(id_) % len(labels))
                for id_, texts in pairs.items()
            }
            for language, pairs in of_split.items()
        }
        for split, of_split in splits.items()
    }
    return Corpus(languages, tuple(labels), rows, ("before",), machine_translated=False)


MADE = corpus_of(
    train={
        "en": {"1": "t1/u1", "2": "d5/u2", "3": "t3/u3", "4": "x/u4", "5": "t5/d1", "6": "y/z"},
    },
    dev={
        # 1-2 by a sentence on the other side, 2-10 by German alone, 3 with itself, 4 alone.
        "en": {"10": "d9/d10", "1": "d1/d2", "2": "d2/d3", "3": "d4/d4", "4": "d5/x"},
        "de": {"2": "e1/e2", "10": "e3/e1", "3": "e4/e5"},
    },
    test={"de": {"1": "x/f1", "2": "f2/f3"}},  # x is English in dev, and in train
)


WORDS = st.sampled_from("abcdefghijklmnop")
PAIRS = st.dictionaries(
    st.integers(0, 14).map(str), st.tuples(WORDS, WORDS).map("/".join), min_size=1
)
SPLIT = st.fixed_dictionaries({"en": PAIRS}, optional={"de": PAIRS, "ja": PAIRS})


def understand(language: str, sentence: str) -> list[Meaning]:
    """An independent reading of a sentence: every meaning it may have, by trying all grammar rules.

    It looks words up by position in the rule, not by how they were made.
    """
    words = sentence.split()
    content, particles = LEXICONS[language]
    readings = []
    for rule in GRAMMAR[language].values():
        parts = rule.split()
        if len(parts) != len(words):
            continue
        found: dict[str, int] = {}
        for part, word in zip(parts, words, strict=True):
            if part in particles:
                if word != particles[part]:
                    break
            else:
                concepts = content[cast(Slot, part)]
                matches = [c for c, forms in enumerate(concepts) if word in forms]
                if not matches:
                    break
                [found[part]] = matches
        else:
            readings.append(Meaning(**found))
    return readings
