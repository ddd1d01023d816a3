"""Pair templates: how a tokenizer joins two sentences with special tokens and truncates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from tuner.errors import UserError

ANOTHER_ENCODER = (
    "Choose an encoder with a fast tokenizer, such as bert-base-multilingual-cased or "
    "xlm-roberta-base."
)


@dataclass(frozen=True)
class PairTemplate:
    """A tokenizer's layout of a pair as parts: the two sentences and the special tokens.

    Attributes:
        special_ids: the special tokens, in order.
        sentence1: index of the part that is sentence1.
        sentence2: index of the part that is sentence2.
        types: token type of every part; None if the encoder has no token types.
    """

    special_ids: Int[np.ndarray, " specials"]
    sentence1: int
    sentence2: int
    types: Int[np.ndarray, " parts"] | None


def read_template(
    tokenizer: PreTrainedTokenizerBase, sentence1: str, sentence2: str
) -> PairTemplate:
    """Derive the template from an encoded pair; both sentences must have tokens.

    Raises:
        UserError: the pair has other tokens than those of its sentences and special tokens, or does
            not begin with a special token.
    """
    pair = tokenizer(sentence1, sentence2, return_special_tokens_mask=True, verbose=False)
    is_special = np.array(pair["special_tokens_mask"], dtype=bool)
    count1, count2 = (
        len(tokenizer(sentence, add_special_tokens=False, verbose=False)["input_ids"])
        for sentence in (sentence1, sentence2)
    )
    if count1 == 0 or count2 == 0 or is_special.sum() + count1 + count2 != len(is_special):
        raise not_understood(tokenizer)
    start1 = int(is_special.argmin())
    start2 = len(is_special) - int(is_special[::-1].argmin()) - count2
    if start1 == 0:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} ({type(tokenizer).__name__}) begins a pair "
            "without a special token, but the head reads the first token",
            ANOTHER_ENCODER,
        )
    # One token of every part: each special token, and the first of either sentence.
    inside = [*range(start1 + 1, start1 + count1), *range(start2 + 1, start2 + count2)]
    parts = np.delete(np.arange(len(is_special)), inside)
    part1, part2 = np.searchsorted(parts, [start1, start2]).tolist()
    knows_types = "token_type_ids" in tokenizer.model_input_names
    return PairTemplate(
        special_ids=np.array(pair["input_ids"])[np.delete(parts, [part1, part2])],
        sentence1=part1,
        sentence2=part2,
        types=np.array(pair["token_type_ids"])[parts] if knows_types else None,
    )


def longest_first(
    tokens1: Int[np.ndarray, " pairs"], tokens2: Int[np.ndarray, " pairs"], limit: int
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Return the tokens kept of both sentences: cut the longer first, then both to half the limit.

    If the limit is odd, the longer sentence keeps the odd token. The second keeps it if both are
    equally long, as in fast tokenizers with `truncation="longest_first"`.
    """
    half1 = np.where(tokens1 > tokens2, limit - limit // 2, limit // 2)
    kept1 = np.minimum(tokens1, np.maximum(half1, limit - tokens2))
    kept2 = np.minimum(tokens2, np.maximum(limit - half1, limit - tokens1))
    return kept1, kept2


def not_understood(tokenizer: PreTrainedTokenizerBase) -> UserError:
    """Return the error for a tokenizer whose pairs cannot be built from separate sentences."""
    return UserError(
        f"the tokenizer of {tokenizer.name_or_path} ({type(tokenizer).__name__}) does not join two "
        f"sentences by special tokens and cut the longer one first, on the right",
        ANOTHER_ENCODER,
    )
