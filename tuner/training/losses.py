"""The loss that training minimises, and the check of each step's loss.

A trial whose loss is NaN or infinite has diverged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tuner.data.tokens import Pairs
from tuner.training.forward import Forward

Loss = Callable[[Forward, Sequence[Pairs]], Float[Tensor, ""]]
"""`loss(forward, parts)`: the sum over all pairs of the parts, in one forward pass."""

STEPS_UNREAD = 32
"""Steps whose losses may wait on a GPU before they are read and checked; reading makes it idle."""


def cross_entropy(forward: Forward, parts: Sequence[Pairs]) -> Float[Tensor, ""]:
    """Return the cross-entropy of the labels, summed over pairs."""
    labels = forward.tensor(np.concatenate([part.labels for part in parts]))
    return F.cross_entropy(forward(parts), labels, reduction="sum")


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient of a step is NaN or infinite: the trial has diverged."""

    def __init__(self, step: int, loss: float, gradient_norm: float) -> None:
        super().__init__(step, loss, gradient_norm)
        self.step = step
        self.loss = loss
        self.gradient_norm = gradient_norm

    def __str__(self) -> str:
        return (
            f"training diverged at step {self.step}: loss {self.loss}, "
            f"gradient norm {self.gradient_norm}"
        )


def read_losses(unread: list[tuple[Tensor, Tensor]], step: int) -> list[float]:
    """Read the losses of the most recent steps; `step` counts all steps so far.

    Raises:
        NonFiniteLoss: a loss or gradient norm is not finite; the error names the first such step,
            counted from 1.
    """
    values = torch.stack([torch.stack(pair) for pair in unread]).tolist()
    for index, (loss, gradient_norm) in enumerate(values, start=step - len(values) + 1):
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            raise NonFiniteLoss(index, loss, gradient_norm)
    return [loss for loss, _ in values]
