"""Dropout with 16 random bits per element, which is faster than torch's on a CPU.

On a CPU torch draws a number for every element, which takes an eighth of a training step. Here four
elements share one number. The probability is a multiple of 2⁻¹⁶, off by at most 2⁻¹⁷.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Dropout):
    """Dropout with the distribution and generator of `nn.Dropout`, but other random bits."""

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return dropout(input, self.p) if self.training else input


def replace_dropout(module: nn.Module) -> None:
    """Replace torch's dropout layers in a module by this one's."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                parent.register_module(name, Dropout(child.p))


def dropout(values: Float[Tensor, "*shape"], p: float) -> Float[Tensor, "*shape"]:
    """Set each value to 0 with probability `p`, and divide the others by 1 - p."""
    if values.device.type != "cpu":  # a GPU draws and multiplies in one kernel
        return F.dropout(values, p)
    dropped = round(p * 2**16)
    if dropped in (0, 2**16):
        return values if dropped == 0 else values * 0
    drawn = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = drawn.view(torch.int16)[: values.numel()].view(values.shape)
    # In place and as integers: several times faster than with booleans.
    kept = bits.ge_(dropped - 2**15).to(values.dtype)
    return values * kept.mul_(2**16 / (2**16 - dropped))
