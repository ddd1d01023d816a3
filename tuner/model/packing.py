"""Pairs of many lengths through an encoder in one pass, with hardly any padding.

Pairs of like length are a block, padded to its longest. Where an encoder lets us, the tokens of all
blocks lie one after another in a single sequence: what works token by token (nine tenths of the
arithmetic) takes them together, and only attention goes block by block. Other encoders are called
once a block. Both compute the same.
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
"""Name of `attend` among the attention functions of transformers."""
PACKABLE = frozenset({"bert", "roberta", "xlm-roberta", "distilbert"})
"""Types of encoders that take positions, work on tokens one by one but for attention, and hand on
what they are given to the attention function."""

Hidden = Float[Tensor, "_ _ hidden"]
"""Of a block, by pair and token."""
Keys = tuple[tuple[int, int], Bool[Tensor, "_ 1 1 _"]]
"""Of a block: its shape, and what is attended to: tokens, not padding."""


@dataclass(frozen=True)
class Block:
    """Pairs padded to the longest of them.

    Attributes:
        input_ids: token ids.
        attention_mask: 1 for tokens, 0 for padding, which is on the right.
        token_type_ids: which sentence a token belongs to; None where the encoder knows none.
        language_ids: the encoder's number of each pair's language; None where it asks for none.
    """

    input_ids: Int[Tensor, "pairs tokens"]
    attention_mask: Int[Tensor, "pairs tokens"]
    token_type_ids: Int[Tensor, "pairs tokens"] | None = None
    language_ids: Int[Tensor, " pairs"] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Pairs, tokens."""
        pairs, tokens = self.input_ids.shape
        return pairs, tokens


class BlockEncoder:
    """An encoder called with blocks; it is for this alone then.

    Args:
        encoder: a model of transformers without its pooler.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        self._encoder = encoder
        self._arguments = frozenset(inspect.signature(encoder.forward).parameters)
        self._first_position = _first_position(encoder)
        self.packs = encoder.config.model_type in PACKABLE
        if self.packs:
            encoder.set_attn_implementation(ATTENTION)

    def __call__(self, blocks: Sequence[Block], all_layers: bool) -> list[list[Hidden]]:
        """Hidden states of every block: the last of them X, before it all others if asked for."""
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

    def _together(self, blocks: Sequence[Block], all_layers: bool) -> list[list[Hidden]]:
        """In one call, as one sequence."""
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
        blocks: Sequence[Block],
        **further: object,
    ) -> list[Float[Tensor, "rows tokens hidden"]]:
        """What the encoder makes of token ids, which are those of these blocks."""
        if "token_type_ids" in self._arguments:
            further["token_type_ids"] = token_type_ids
        if self.packs:  # handed on to `attend`
            further["blocks"] = [
                (block.shape, block.attention_mask.bool()[:, None, None]) for block in blocks
            ]
        output = self._encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=all_layers,
            **further,
        )
        # The last hidden state is what the encoder gives: some normalise it once more at the end.
        lower = output.hidden_states[:-1] if all_layers else ()
        return [*lower, output.last_hidden_state]

    def _positions(self, block: Block) -> Int[Tensor, "pairs tokens"]:
        first, width = self._first_position, block.shape[1]
        numbers = torch.arange(first, first + width, device=block.input_ids.device)
        return numbers.expand(block.shape)


def arguments_of(encoder: PreTrainedModel, block: Block) -> dict[str, Tensor]:
    """What an encoder is given of a block beside token ids and mask, called by itself."""
    accepted = frozenset(inspect.signature(encoder.forward).parameters)
    types = block.token_type_ids
    given = {"token_type_ids": types} if types is not None and "token_type_ids" in accepted else {}
    return given | further_arguments(accepted, block)


def further_arguments(accepted: Set[str], block: Block) -> dict[str, Tensor]:
    """What some encoders ask for besides, under the names that they have for it.

    The numbers of the pairs' languages; for Longformer, that the first token sees all others, as
    its own classifier has it.
    """
    if "global_attention_mask" in accepted:
        first = torch.zeros_like(block.attention_mask)
        first[:, 0] = 1
        return {"global_attention_mask": first}
    numbers = block.language_ids
    if numbers is None:
        return {}
    if "lang_ids" in accepted:  # X-MOD's: one a pair
        return {"lang_ids": numbers}
    assert "langs" in accepted  # XLM's: one a token
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
    """Attention within each pair: an attention function for transformers.

    The rows are the pairs of the one block there is, or of several blocks there is one row.
    """
    if len(blocks) == 1:
        keys = blocks[0][1]
        return _attend(query, key, value, keys, dropout, scaling).transpose(1, 2), None
    sizes = [pairs * width for (pairs, width), _ in blocks]
    # Split, not sliced: the gradient is put together once.
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
    # On a CPU torch has no kernel with dropout; what it composes instead takes longer than this.
    scores = query * (scaling or query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    return drop_out(scores.masked_fill(~keys, -torch.inf).softmax(-1), p) @ value


def _in_a_row(parts: Sequence[Int[Tensor, ...]]) -> Int[Tensor, "1 tokens"]:
    return torch.cat([part.flatten() for part in parts]).unsqueeze(0)


def _first_position(encoder: PreTrainedModel) -> int:
    """RoBERTa numbers positions from the padding's id on, others from 0."""
    table = dict(encoder.named_modules()).get("embeddings.position_embeddings")
    padding = table.padding_idx if isinstance(table, nn.Embedding) else None
    return 0 if padding is None else padding + 1


AttentionInterface.register(ATTENTION, attend)
