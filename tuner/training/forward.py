"""The forward pass: a model applied to pairs on its device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tuner.data.tokens import Pairs
from tuner.model.classifier import PairClassifier
from tuner.model.packing import PaddedPairs

BLOCK_COST = {"cpu": 2**20, "cuda": 2**30}
"""The fixed cost of a block, by type of device, in tokens of an encoder of hidden size 1. It was
measured on a CPU core in bfloat16, and estimated for a GPU."""


@dataclass(frozen=True)
class Forward:
    """A model on a device, with or without bfloat16 autocast; it maps blocks to logits."""

    model: PairClassifier
    device: torch.device
    bf16: bool = False

    def __call__(self, blocks: Sequence[Pairs]) -> Float[Tensor, "pairs labels"]:
        """Return the logits of all the blocks' pairs, in float32 or a wider type."""
        with self.autocast():
            logits: Tensor = self.model([self.block(pairs) for pairs in blocks])
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def block(self, pairs: Pairs) -> PaddedPairs:
        """Move pairs to the device."""
        types, languages = pairs.token_type_ids, pairs.language_ids
        return PaddedPairs(
            self.tensor(pairs.input_ids),
            self.tensor(pairs.attention_mask),
            None if types is None else self.tensor(types),
            None if languages is None else self.tensor(languages),
        )

    @property
    def block_cost(self) -> float:
        """The fixed cost of a block of pairs, in tokens.

        In each layer a block's operations take some time to start, whatever their size, while the
        arithmetic for a token grows with the square of the hidden size.
        """
        return BLOCK_COST[self.device.type] / self.model.hidden_size**2

    def autocast(self) -> torch.autocast:
        """Return a context in which matrices are multiplied in bfloat16 if `bf16` is set."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def tensor(self, array: Int[np.ndarray, "*shape"]) -> Int[Tensor, "*shape"]:
        """Copy an array, which may be read-only, to the device without waiting for it."""
        host = torch.from_numpy(array if array.flags.writeable else array.copy())
        if self.device.type == "cuda":
            host = host.pin_memory()
        return host.to(self.device, torch.int64, non_blocking=True)
