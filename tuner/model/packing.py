"""Packing: pairs of many lengths go through an encoder in one pass, with hardly any padding.

Pairs of similar length form a block, padded to its longest pair. If the encoder allows, the tokens
of all blocks lie one after another in a single sequence: the operations on single tokens (nine
tenths of the arithmetic) process them together, and only attention goes block by block. Other
encoders are called once per block. Both ways compute the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from tuner.model.dropout import dropout as drop_out

ATTENTION = "tuner_blocks"
"""The name of `attend` among the attention functions of transformers."""
PACKABLE = frozenset({"bert", "roberta", "xlm-roberta", "distilbert"})
"""Types of encoders that accept positions, process tokens one by one except in attention, and pass
further arguments on to the attention function."""

Hidden = Float[Tensor, "_ _ hidden"]
"""The hidden states of a block, by pair and token."""
Keys = tuple[tuple[int, int], Bool[Tensor, "_ 1 1 _"]]
"""A block's shape, and its mask of what is attended to: tokens, not padding."""


@dataclass(frozen=True)
class PaddedPairs:
    """Pairs padded to the longest of them.

    Attributes:
        input_ids: token ids.
        attention_mask: 1 for tokens, 0 for padding, which is on the right.
        token_type_ids: the sentence that a token belongs to; None if the encoder has no types.
        language_ids: the encoder's number of each pair's language; None if it takes no language.
    """

    input_ids: Int[Tensor, "pairs tokens"]
    attention_mask: Int[Tensor, "pairs tokens"]
    token_type_ids: Int[Tensor, "pairs tokens"] | None = None
    language_ids: Int[Tensor, " pairs"] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of pairs and tokens."""
        pairs, tokens = self.input_ids.shape
        return pairs, tokens


class BlockEncoder:
    """An encoder that is called with blocks.

    Args:
        encoder: a transformers model without its pooler. A packable one gets another attention
            function, so it can be called only through this class.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        self._encoder = encoder
        self._arguments = frozenset(inspect.signature(encoder.forward).parameters)
        self._first_position = _first_position(encoder)
        self.packs = encoder.config.model_type in PACKABLE
        if self.packs:
            encoder.set_attn_implementation(ATTENTION)

    def __call__(self, blocks: Sequence[PaddedPairs], all_layers: bool) -> list[list[Hidden]]:
        """Return the hidden states of every block: all others if `all_layers`, and X at the end."""
        if self.packs and len(blocks) > 1:
            return self._together(blocks, all_layers)
        return [
            self._states(
                all_layers,
                block.input_ids,
                block.token_type_ids,
                block.attention_mask,
                [block],
                **further_arguments(self._arguments, block),
            )
            for block in blocks
        ]

    def _together(self, blocks: Sequence[PaddedPairs], all_layers: bool) -> list[list[Hidden]]:
        """Encode all blocks in one call, as one sequence."""
        types = [block.token_type_ids for block in blocks if block.token_type_ids is not None]
        states = self._states(
            all_layers,
            _in_a_row([block.input_ids for block in blocks]),
            _in_a_row(types) if types else None,
            None,
            blocks,
            position_ids=_in_a_row([self._positions(block) for block in blocks]),
        )
        sizes = [block.input_ids.numel() for block in blocks]
        of_layers = [torch.split(state[0], sizes) for state in states]
        return [
            [layer.unflatten(0, block.shape) for layer in layers]
            for block, *layers in zip(blocks, *of_layers, strict=True)
        ]

    def _states(
        self,
        all_layers: bool,
        input_ids: Int[Tensor, "rows tokens"],
        token_type_ids: Int[Tensor, "rows tokens"] | None,
        attention_mask: Int[Tensor, "rows tokens"] | None,
        blocks: Sequence[PaddedPairs],
        **further: object,
    ) -> list[Float[Tensor, "rows tokens hidden"]]:
        """Return the encoder's hidden states for token ids, which are those of `blocks`."""
        if "token_type_ids" in self._arguments:
            further["token_type_ids"] = token_type_ids
        if self.packs:  # passed on to `attend`
            further["blocks"] = [
                (block.shape, block.attention_mask.bool()[:, None, None]) for block in blocks
            ]
        output = self._encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=all_layers,
            **further,
        )
        # Take the encoder's output as the last state: some encoders normalise it once more.
        lower = output.hidden_states[:-1] if all_layers else ()
        return [*lower, output.last_hidden_state]

    def _positions(self, block: PaddedPairs) -> Int[Tensor, "pairs tokens"]:
        first, width = self._first_position, block.shape[1]
        numbers = torch.arange(first, first + width, device=block.input_ids.device)
        return numbers.expand(block.shape)


def arguments_of(encoder: PreTrainedModel, block: PaddedPairs) -> dict[str, Tensor]:
    """Return the arguments besides token ids and mask for an encoder called with one block."""
    accepted = frozenset(inspect.signature(encoder.forward).parameters)
    types = block.token_type_ids
    given = {"token_type_ids": types} if types is not None and "token_type_ids" in accepted else {}
    return given | further_arguments(accepted, block)


def further_arguments(accepted: Set[str], block: PaddedPairs) -> dict[str, Tensor]:
    """Return the additional arguments that some encoders need, by the names they use.

    Some need the numbers of the pairs' languages. Longformer needs a mask that lets the first
        token see all others, as in its own classifier.
    """
    if "global_attention_mask" in accepted:
        first = torch.zeros_like(block.attention_mask)
        first[:, 0] = 1
        return {"global_attention_mask": first}
    numbers = block.language_ids
    if numbers is None:
        return {}
    if "lang_ids" in accepted:  # X-MOD takes one per pair
        return {"lang_ids": numbers}
    assert "langs" in accepted  # XLM takes one per token
    return {"langs": numbers[:, None].expand(block.shape)}


def attend(
    module: nn.Module,
    query: Float[Tensor, "rows heads tokens channels"],
    key: Float[Tensor, "rows heads tokens channels"],
    value: Float[Tensor, "rows heads tokens channels"],
    attention_mask: None,
    blocks: Sequence[Keys],
    dropout: float = 0.0,
    scaling: float | None = None,
    **unused: object,
) -> tuple[Float[Tensor, "rows tokens heads channels"], None]:
    """Attend within each pair: an attention function for transformers.

    If there is one block, the rows are its pairs. Several blocks are packed into a single row.
    """
    if len(blocks) == 1:
        keys = blocks[0][1]
        return _attend(query, key, value, keys, dropout, scaling).transpose(1, 2), None
    sizes = [pairs * width for (pairs, width), _ in blocks]
    # Split instead of slicing, so the gradient is assembled only once.
    parts = zip(*(torch.split(each[0], sizes, dim=1) for each in (query, key, value)), strict=True)
    attended = []
    for (shape, keys), part in zip(blocks, parts, strict=True):
        q, k, v = (each.unflatten(1, shape).transpose(0, 1) for each in part)
        attended.append(_attend(q, k, v, keys, dropout, scaling).transpose(1, 2).flatten(0, 1))
    return torch.cat(attended).unsqueeze(0), None


def _attend(
    query: Float[Tensor, "pairs heads tokens channels"],
    key: Float[Tensor, "pairs heads tokens channels"],
    value: Float[Tensor, "pairs heads tokens channels"],
    keys: Bool[Tensor, "pairs 1 1 tokens"],
    p: float,
    scaling: float | None,
) -> Float[Tensor, "pairs heads tokens channels"]:
    if p == 0.0 or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, keys, p, scale=scaling)
    # On a CPU torch has no kernel with dropout; its fallback takes longer than this.
    scores = query * (scaling or query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    return drop_out(scores.masked_fill(~keys, -torch.inf).softmax(-1), p) @ value


def _in_a_row(parts: Sequence[Int[Tensor, ...]]) -> Int[Tensor, "1 tokens"]:
    return torch.cat([part.flatten() for part in parts]).unsqueeze(0)


def _first_position(encoder: PreTrainedModel) -> int:
    """Return the first position: RoBERTa numbers from the padding's id + 1, others from 0."""
    table = dict(encoder.named_modules()).get("embeddings.position_embeddings")
    padding = table.padding_idx if isinstance(table, nn.Embedding) else None
    return 0 if padding is None else padding + 1


AttentionInterface.register(ATTENTION, attend)
