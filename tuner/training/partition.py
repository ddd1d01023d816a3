"""How pairs are cut into forward passes: little padding, few passes, none larger than memory holds.

Of pairs sorted by length, neighbours go together, padded to the longest of them. A pass costs its
tokens, padding included, and something of its own: kernels to launch, weights to read. The cut of
least cost is found exactly, by dynamic programming over the places where a pass may end.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int

PASS_COST = {"cpu": 64, "cuda": 4096}
"""Tokens that take as long as what a pass costs by itself, by type of device."""


def passes(
    lengths: Int[np.ndarray, " pairs"], tokens: int, device: torch.device, workers: int = 1
) -> list[Int[np.ndarray, " some"]]:
    """Which pairs go together, the longest first, so that what does not fit shows at once.

    Args:
        lengths: tokens of each pair.
        tokens: of a worker's pass, padding included, at most; a longer pair goes alone.
        device: where passes run.
        workers: that share them: each pass is dealt out to all, by `Group.share`.

    Returns:
        For each pass the indices of its pairs, by length.
    """
    order = np.argsort(-lengths, kind="stable")
    widths = lengths[order[::workers]]  # of the first worker's pairs, which are the longest
    least = np.zeros(len(widths) + 1)  # cost of the first so many pairs
    begins = np.zeros(len(widths) + 1, dtype=np.int64)  # of the last pass among them
    first = 0  # where a pass may begin at the earliest
    for end in range(1, len(widths) + 1):
        while first < end - 1 and (end - first) * widths[first] > tokens:
            first += 1
        begin = np.arange(first, end)
        costs = least[first:end] + (end - begin) * widths[begin] + PASS_COST[device.type]
        best = int(costs.argmin())
        least[end], begins[end] = costs[best], first + best
    cuts = [len(widths)]
    while cuts[-1] > 0:
        cuts.append(int(begins[cuts[-1]]))
    return [order[begin * workers : end * workers] for begin, end in pairwise(reversed(cuts))]
