"""The embedding matrix cut to the tokens that a study's corpus can produce: smaller, and exact.

Of mBERT's 178 M parameters 92 M are rows of that matrix, one for each of 119,547 tokens, of which a
corpus in a few languages uses a fraction. A row that no pair holds is never read, gets no gradient,
and stays where it is: AdamW moves it only by weight decay, from which the matrix is exempt (see
`tuner.training.loop.adamw`). So trials hold, update and save the other rows alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tuner.data.tokens import TokenisedCorpus
from tuner.model.classifier import KEPT_TOKENS
from tuner.model.encoder import PretrainedEncoder


def cut(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> tuple[PretrainedEncoder, TokenisedCorpus]:
    """An encoder without the rows that a corpus never reads, and the corpus with ids to match.

    Whatever is computed from the two is equal to what is from the whole.
    """
    matrix = encoder.weights[encoder.embedding]
    # Padding keeps its id, and so all before it: RoBERTa numbers positions from there on.
    kept = np.union1d(np.arange(corpus.pad_id), corpus.token_ids())
    assert kept[-1] < len(matrix), "the tokenizer is the encoder's"
    config = {
        name: _place(value, kept) if name.endswith("_token_id") else value
        for name, value in encoder.config.items()
    }
    smaller = replace(
        encoder,
        config={**config, "vocab_size": len(kept)},
        weights={**encoder.weights, encoder.embedding: matrix[kept]},
        kept_tokens=kept,
    )
    return smaller, corpus.renumbered(kept)


def restored(weights: dict[str, Tensor], encoder: PretrainedEncoder) -> dict[str, Tensor]:
    """A trained `PairClassifier`'s weights with all rows of tokens: those not trained as they were.

    Args:
        weights: as a checkpoint holds them, or `best/NNNN`.
        encoder: that training started from, whole.
    """
    whole = dict(weights)
    kept = whole.pop(KEPT_TOKENS, None)
    if kept is not None:
        name = f"encoder.{encoder.embedding}"
        matrix = torch.tensor(encoder.weights[encoder.embedding])
        matrix[kept] = whole[name].to(matrix)
        whole[name] = matrix
    return whole


def _place(token_id: int | None, kept: Int[np.ndarray, " kept"]) -> int | None:
    """A special token's new id; None where there is no such token any more."""
    place = None if token_id is None else int(np.searchsorted(kept, token_id))
    return place if place is not None and kept[place : place + 1] == token_id else None
