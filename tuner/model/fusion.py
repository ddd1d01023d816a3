"""Fusion: it combines the last hidden state X and a lower one Y into what the head reads.

`last` is the baseline, `sum` and `concat` are the controls without attention, and `dlfa` is the
method, a reconstruction. Only the abstract of the paper (arXiv 2205.08497) was available: two
branches, two convolutions, element-wise multiplication, the last and one lower layer. What it
leaves open is filled from the attentional feature fusion it builds on (arXiv 2009.14082, section
3), with LayerNorm in place of BatchNorm, which would make a pair's output depend on its batch.

Shapes: B pairs, T tokens, E hidden. A new kind is one class here and its line in
`tuner.study.fusions`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tuner.model.shape import check_layer, check_reduction
from tuner.study.fusions import FUSIONS
from tuner.study.trial import FusionConfig

Hidden = Float[Tensor, "pairs tokens hidden"]
Mask = Int[Tensor, "pairs tokens"]


class LastLayer(nn.Module):
    """The baseline, Z = X."""

    def __init__(self, config: FusionConfig, hidden_size: int) -> None:
        super().__init__()

    def forward(self, last: Hidden, lower: Hidden | None, mask: Mask) -> Hidden:
        return last


class Sum(nn.Module):
    """The sum Z = X + Y: it adds the lower layer without attention and without new weights."""

    def __init__(self, config: FusionConfig, hidden_size: int) -> None:
        super().__init__()

    def forward(self, last: Hidden, lower: Hidden | None, mask: Mask) -> Hidden:
        assert lower is not None
        return last + lower


class Concatenation(nn.Module):
    """A learnt mix of the two layers without attention: Z = W [X; Y] + b, token by token.

    W (E × 2E) starts as every new linear layer does, normal with deviation 0.02, and b at 0 (see
    `PairClassifier`): the textbook start, the same for every kind that has weights to learn. At
    first the pre-trained pooler reads a random mix. Starting from [I I], which is `sum`, was no
    better on nano (sources 89.2 against 91.8, means of layers 1 to 3 × 3 seeds).
    """

    def __init__(self, config: FusionConfig, hidden_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(2 * hidden_size, hidden_size)

    def forward(self, last: Hidden, lower: Hidden | None, mask: Mask) -> Hidden:
        assert lower is not None
        fused: Tensor = self.projection(torch.cat([last, lower], dim=-1))
        return fused


class DoubleLayerFeatureAggregation(nn.Module):
    """The fusion Z of X and Y by attention weights M(X + Y) in (0, 1), all of shape B × T × E.

    `multiply`: Z = (X + Y) ⊙ M. `select`: Z = X ⊙ M + Y ⊙ (1 − M), as in arXiv 2009.14082, eq. 4.
    """

    def __init__(self, config: FusionConfig, hidden_size: int) -> None:
        super().__init__()
        self.mode = config.mode
        self.attention = AIF(hidden_size, config.reduction)

    def forward(self, last: Hidden, lower: Hidden | None, mask: Mask) -> Hidden:
        assert lower is not None
        total = last + lower
        weights = self.attention(total, mask)
        if self.mode == "multiply":
            fused: Tensor = total * weights
        else:
            fused = last * weights + lower * (1 - weights)
        return fused


class AIF(nn.Module):
    """The attention weights M(U) = σ(L(U) + G(U)) over features U.

    L is the local branch: pointwise convolution E → E/r, LayerNorm, ReLU, pointwise convolution
    E/r → E, LayerNorm. G is the global branch: the same, with weights of its own, on the mean of U
    over the unmasked tokens, broadcast to all. E/r is rounded down.

    Raises:
        UserError: r leaves no channel.
    """

    def __init__(self, hidden_size: int, reduction: int) -> None:
        super().__init__()
        check_reduction(reduction, hidden_size)
        channels = hidden_size // reduction
        self.local_branch = _branch(hidden_size, channels)
        self.global_branch = _branch(hidden_size, channels)

    def forward(self, features: Hidden, mask: Mask) -> Hidden:
        unmasked = mask.unsqueeze(-1).to(features.dtype)
        mean = (features * unmasked).sum(dim=1, keepdim=True) / unmasked.sum(dim=1, keepdim=True)
        return torch.sigmoid(self.local_branch(features) + self.global_branch(mean))


def _branch(hidden_size: int, channels: int) -> nn.Sequential:
    """Build a bottleneck; a pointwise convolution over tokens is a linear map of each token."""
    return nn.Sequential(
        nn.Linear(hidden_size, channels),
        nn.LayerNorm(channels),
        nn.ReLU(),
        nn.Linear(channels, hidden_size),
        nn.LayerNorm(hidden_size),
    )


def build_fusion(config: FusionConfig, hidden_size: int, num_layers: int) -> nn.Module:
    """Build the module of `config.kind`, whose `forward(last, lower, mask)` maps X and Y to Z.

    Raises:
        UserError: the encoder has no such lower layer, or `config.reduction` leaves no channel.
    """
    check_layer(config, num_layers)
    module, _, name = FUSIONS[config.kind].code.partition(":")
    kind: Callable[[FusionConfig, int], nn.Module] = getattr(import_module(module), name)
    return kind(config, hidden_size)
