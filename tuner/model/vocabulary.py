"""The vocabulary cut: the embedding keeps only the tokens of a study's corpus, without any loss.

Of mBERT's 178 M parameters, 92 M are rows of the embedding matrix, one for each of 119,547 tokens.
A corpus in a few languages uses a fraction of them. A row that no pair holds is never read, gets no
gradient and does not change: AdamW would move it only by weight decay, from which the matrix is
exempt (see `tuner.training.loop.adamw`). So trials hold, update and save only the other rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tuner.data.tokens import TokenisedCorpus
from tuner.model.classifier import KEPT_TOKENS
from tuner.model.encoder import PretrainedEncoder

SPECIAL = re.compile(r"_token_id$|^(pad|bos|eos|unk|mask)_index$")
"""Keys of a configuration that hold special tokens' ids; those ending in `_index` are XLM's."""


def cut(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> tuple[PretrainedEncoder, TokenisedCorpus]:
    """Return an encoder without the rows that a corpus never reads, and the corpus with new ids.

    The two compute the same as the whole encoder and the original corpus.
    """
    matrix = encoder.weights[encoder.embedding]
    # Padding and all ids before it stay as they are, since RoBERTa numbers positions from there.
    # Special tokens stay even if no pair holds them: some encoders look for their ids (ESM for the
    # mask's).
    special = [each for value in special_ids(encoder.config).values() for each in _listed(value)]
    special = [each for each in special if 0 <= each < len(matrix)]
    kept = np.unique(np.concatenate([np.arange(corpus.pad_id), corpus.token_ids(), special]))
    kept = kept.astype(np.int64)
    assert kept[-1] < len(matrix), "the tokenizer is the encoder's"
    config = {
        **encoder.config,
        **{name: _renumbered(value, kept) for name, value in special_ids(encoder.config).items()},
    }
    smaller = replace(
        encoder,
        config={**config, "vocab_size": len(kept)},
        weights={
            **encoder.weights,
            **{name: encoder.weights[name][kept] for name in _tables(encoder)},
        },
        kept_tokens=kept,
    )
    return smaller, corpus.renumbered(kept)


def restored(weights: dict[str, Tensor], encoder: PretrainedEncoder) -> dict[str, Tensor]:
    """Return a trained `PairClassifier`'s weights with all token rows, untrained ones as before.

    Args:
        weights: the weights of a checkpoint or of `best/NNNN`.
        encoder: the whole encoder that training started from.
    """
    whole = dict(weights)
    kept = whole.pop(KEPT_TOKENS, None)
    if kept is not None:
        for table in _tables(encoder):
            name = f"encoder.{table}"
            matrix = torch.tensor(encoder.weights[table])
            matrix[kept] = whole[name].to(matrix)
            whole[name] = matrix
    return whole


def _tables(encoder: PretrainedEncoder) -> list[str]:
    """Return the names of arrays with a row per token: the embedding, and others in its module."""
    module = encoder.embedding.rpartition(".")[0]
    rows = len(encoder.weights[encoder.embedding])
    return [
        name
        for name, array in encoder.weights.items()
        if name.rpartition(".")[0] == module and array.shape[:1] == (rows,)
    ]


def special_ids(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's ids of special tokens, by key: a number, several, or None."""
    return {name: value for name, value in config.items() if SPECIAL.search(name)}


def _listed(value: Any) -> list[int]:
    values = value if isinstance(value, list | tuple) else [value]
    return [each for each in values if isinstance(each, int)]


def _renumbered(value: Any, kept: Int[np.ndarray, " kept"]) -> Any:
    """Return special tokens' new ids; None for one that the table has no row for."""
    if isinstance(value, list | tuple):
        return [_renumbered(each, kept) for each in value]
    is_kept = isinstance(value, int) and value in kept
    return int(np.searchsorted(kept, value)) if is_kept else None
