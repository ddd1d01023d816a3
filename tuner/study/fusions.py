"""The kinds of fusion that a study may name; their code, in `tuner.model.fusion`, needs torch.

A new kind needs a class there and a line in `FUSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Fusion:
    """One kind of fusion.

    Attributes:
        code: the location of its class, as `package.module:Class`.
        weights: returns how many weights it learns for a hidden size and `fusion.reduction`.
        fuses: True if it reads a lower layer, `fusion.layer`.
        reduces: True if it has a bottleneck, `fusion.reduction`.
    """

    code: str
    weights: Callable[[int, int], int] = lambda hidden, reduction: 0
    fuses: bool = True
    reduces: bool = False


def _of_aif(hidden: int, reduction: int) -> int:
    """Count the weights of AIF's two branches: two linear maps and two LayerNorms each."""
    channels = hidden // reduction
    return 2 * (2 * hidden * channels + 3 * channels + 3 * hidden)


FUSIONS: dict[str, Fusion] = {
    "last": Fusion("tuner.model.fusion:LastLayer", fuses=False),
    "sum": Fusion("tuner.model.fusion:Sum"),
    "concat": Fusion("tuner.model.fusion:Concatenation", lambda hidden, _: 2 * hidden**2 + hidden),
    "dlfa": Fusion("tuner.model.fusion:DoubleLayerFeatureAggregation", _of_aif, reduces=True),
}
