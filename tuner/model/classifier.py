"""The `PairClassifier`: encoder, fusion and head."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tuner.model.dropout import Dropout, replace_dropout
from tuner.model.encoder import PretrainedEncoder
from tuner.model.fusion import build_fusion
from tuner.model.packing import BlockEncoder, PaddedPairs
from tuner.model.pooler import activation_of, without_pooler
from tuner.study.trial import FusionConfig, HeadConfig

KEPT_TOKENS = "kept_tokens"
"""The buffer, saved with the weights of a cut encoder, that holds the ids of its token rows."""
NEW_WEIGHTS_STD = 0.02
"""Standard deviation of new linear weights, the same as in BERT."""


class PairClassifier(nn.Module):
    """A pair classifier: fused states Z at the first token → pooler → dropout → linear → logits.

    The pooler is the encoder's own pre-trained one (in BERT: linear, tanh); an encoder without one
    gets none. It is applied to Z, so `fusion.kind: last` equals `BertForSequenceClassification`.

    New modules (fusion and head) are initialised by a function of `seed` and the module's name
    alone: linear weights and pointwise convolutions normal with deviation 0.02, biases 0, LayerNorm
    at 1 and 0. Two models with the same seed start equal wherever their shapes agree.

    Raises:
        UserError: the encoder has no layer `fusion.layer`, or `fusion.reduction` is too large.
    """

    def __init__(
        self,
        encoder: PretrainedEncoder,
        fusion: FusionConfig,
        head: HeadConfig,
        labels: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder.build()
        replace_dropout(self.encoder)
        # The pooler is taken out of the encoder, which would apply it to X.
        self.pooler = without_pooler(self.encoder) if encoder.has_pooler else None
        self.activation = activation_of(self.encoder) if type(self.pooler) is nn.Linear else None
        self.encode = BlockEncoder(self.encoder)
        if encoder.kept_tokens is not None:  # saved with the weights, which mean little without it
            self.register_buffer(KEPT_TOKENS, torch.tensor(encoder.kept_tokens))
        self.hidden_size = encoder.hidden_size
        self.lower_layer = fusion.layer
        self.fusion = build_fusion(fusion, encoder.hidden_size, encoder.num_layers)
        self.dropout = Dropout(head.dropout)
        self.head = nn.Linear(encoder.hidden_size, labels)
        for name, module in self.named_modules():
            if name.startswith(("fusion.", "head")) and isinstance(module, nn.Linear):
                generator = torch.Generator().manual_seed(derive_seed(seed, name))
                nn.init.normal_(module.weight, std=NEW_WEIGHTS_STD, generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, blocks: Sequence[PaddedPairs]) -> Float[Tensor, "pairs labels"]:
        """Return the logits of the pairs of all blocks, in their order."""
        states = self.encode(blocks, self.lower_layer is not None)
        fused = [
            self.fusion(
                layers[-1],
                None if self.lower_layer is None else layers[self.lower_layer],
                block.attention_mask,
            )
            for block, layers in zip(blocks, states, strict=True)
        ]
        first = self.pooled(torch.cat([each[:, :1] for each in fused]))
        return self.head(self.dropout(first))  # type: ignore[no-any-return]

    def pooled(self, first: Float[Tensor, "pairs 1 hidden"]) -> Float[Tensor, "pairs hidden"]:
        """Apply the pooler to the first tokens' states; the head reads the result."""
        if self.pooler is None:
            return first[:, 0]
        if self.activation is not None:  # the pooler is a bare linear layer
            return self.activation(self.pooler(first[:, 0]))  # type: ignore[no-any-return]
        return self.pooler(first)  # type: ignore[no-any-return]

    def new_parameters(self) -> set[Tensor]:
        """Return the parameters that were not pre-trained: those of fusion and head."""
        return {*self.fusion.parameters(), *self.head.parameters()}


def derive_seed(seed: int, *names: str | int) -> int:
    """Derive a distinct 63-bit seed for every (seed, names), equal on every machine."""
    digest = hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
