"""The few pairs of a study on which an encoder is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tuner.data.tokens import Pairs, TokenisedCorpus
from tuner.model.packing import PaddedPairs

PAIRS, TOKENS = 4, 64
"""The number of pairs that are tried, and the most tokens of each."""


@dataclass(frozen=True)
class ChosenPairs:
    """The pairs that are tried: their rows, from short to long, and the language of each."""

    rows: np.ndarray
    languages: np.ndarray
    max_length: int

    @classmethod
    def of(cls, corpus: TokenisedCorpus, languages: Sequence[str]) -> ChosenPairs:
        numbers = [corpus.languages.index(language) for language in languages]
        rows, chosen = [], []
        for place in range(PAIRS):
            number = numbers[place % len(numbers)]
            own = corpus.rows("train", [corpus.languages[number]])
            at = np.full_like(own, number)
            by_length = own[corpus.lengths("train", own, at, at).argsort(kind="stable")]
            rows.append(by_length[(len(by_length) - 1) * place // (PAIRS - 1)])
            chosen.append(number)
        return cls(np.array(rows), np.array(chosen), min(TOKENS, corpus.max_length))

    def pairs(self, corpus: TokenisedCorpus, some: Sequence[int], padded_to: int = 0) -> Pairs:
        """Return some of the pairs as one padded batch."""
        few, places = self._alone(corpus), np.array(some)
        at = self.languages[places]
        width = max(padded_to, int(few.lengths("train", places, at, at).max()))
        return few.assemble("train", places, at, at, width)

    def _alone(self, corpus: TokenisedCorpus) -> TokenisedCorpus:
        """Return a corpus of the chosen pairs alone.

        The first pair keeps one token of each sentence. Otherwise all pairs might have
        `max_length` tokens, and none would be padded.
        """
        train = corpus.splits["train"]
        lengths = train.lengths[:, :, self.rows]
        lengths[:, :, 0] = np.minimum(lengths[:, :, 0], 1)
        few = replace(
            train,
            starts=train.starts[:, :, self.rows],
            lengths=lengths,
            clean=train.clean[:, self.rows],
            labels=train.labels[self.rows],
        )
        return replace(corpus, max_length=self.max_length, splits={"train": few})

    def block(
        self, corpus: TokenisedCorpus, some: Sequence[int], padded_to: int = 0
    ) -> PaddedPairs:
        """Return some of the pairs as a `PaddedPairs` for the encoder."""
        return block_of(self.pairs(corpus, some, padded_to))


def block_of(pairs: Pairs) -> PaddedPairs:
    """Convert pairs to a block on the CPU."""
    types, languages = pairs.token_type_ids, pairs.language_ids
    return PaddedPairs(
        torch.from_numpy(pairs.input_ids),
        torch.from_numpy(pairs.attention_mask),
        None if types is None else torch.from_numpy(types),
        None if languages is None else torch.from_numpy(languages),
    )
