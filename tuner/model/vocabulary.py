"""The embedding matrix cut to the tokens that a study's corpus can produce: smaller, and exact.

Of mBERT's 178 M parameters 92 M are rows of that matrix, one for each of 119,547 tokens, of which a
corpus in a few languages uses a fraction. A row that no pair holds is never read, gets no gradient,
and stays where it is: AdamW moves it only by weight decay, from which the matrix is exempt (see
`tuner.training.loop.adamw`). So trials hold, update and save the other rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tuner.data.tokens import TokenisedCorpus
from tuner.model.encoder import PretrainedEncoder


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What was cut off, to put it back.

    Attributes:
        embedding: name of the matrix among the encoder's weights.
        kept: ids of the tokens whose rows trials have, ascending; there a token's id is its index
            in these.
        matrix: all rows, as pre-trained.
    """

    embedding: str
    kept: Int[np.ndarray, " kept"]
    matrix: Float[np.ndarray, "tokens hidden"]

    def restored(self, rows: Float[Tensor, "kept hidden"]) -> Float[Tensor, "tokens hidden"]:
        """The whole matrix after training: these rows in their places, the others as they were."""
        matrix = torch.tensor(self.matrix)
        matrix[torch.from_numpy(self.kept)] = rows.to(matrix)
        return matrix


def cut(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> tuple[PretrainedEncoder, TokenisedCorpus, Vocabulary]:
    """An encoder without the rows that a corpus never reads, and the corpus with ids to match.

    Whatever is computed from the two is equal to what is from the whole. The encoder's checksum
    stays that of the whole.
    """
    matrix = encoder.weights[encoder.embedding]
    # Padding keeps its id, and so all before it: RoBERTa numbers positions from there on.
    kept = np.union1d(np.arange(corpus.pad_id), corpus.token_ids())
    assert kept[-1] < len(matrix), "the tokenizer is the encoder's"
    config = {
        name: _place(value, kept) if name.endswith("_token_id") else value
        for name, value in encoder.config.items()
    }
    weights = {**encoder.weights, encoder.embedding: matrix[kept]}
    smaller = replace(encoder, config={**config, "vocab_size": len(kept)}, weights=weights)
    return smaller, corpus.renumbered(kept), Vocabulary(encoder.embedding, kept, matrix)


def _place(token_id: int | None, kept: Int[np.ndarray, " kept"]) -> int | None:
    """A special token's new id; None where there is no such token any more."""
    place = None if token_id is None else int(np.searchsorted(kept, token_id))
    return place if place is not None and kept[place : place + 1] == token_id else None
