"""How pairs are cut into forward passes: little padding, few blocks, none larger than memory holds.

Of pairs sorted by length, neighbours are a block, padded to the longest of them (see
`tuner.model.packing`). A block costs its tokens, padding included, and something by itself. The cut
of least cost is found exactly, by dynamic programming over the places where a block may end.
Neighbouring blocks share a pass as long as it holds them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Int

BLOCK_COST = {"cpu": 16, "cuda": 4096}
"""Tokens that take as long as what a block costs by itself, by type of device."""

Block = Int[np.ndarray, " _"]
"""Indices of the pairs that are padded to one length."""


def passes(
    lengths: Int[np.ndarray, " pairs"], tokens: int, cost: float, workers: int = 1
) -> list[list[Block]]:
    """Which pairs go together, the longest first, so that what does not fit shows at once.

    Args:
        lengths: tokens of each pair.
        tokens: of a worker's pass, padding included, at most; a longer pair goes alone.
        cost: of a block by itself, in tokens.
        workers: that share them: each block is dealt out to all, by `Group.share`.

    Returns:
        The blocks of each pass: at least one.
    """
    found: list[list[Block]] = []
    for block in blocks(lengths, tokens, cost, workers):
        if not found or held([*found[-1], block], lengths, workers) > tokens:
            found.append([])
        found[-1].append(block)
    return found


def held(one_pass: list[Block], lengths: Int[np.ndarray, " pairs"], workers: int) -> int:
    """Tokens of the largest worker's share of a pass, padding included."""
    return sum(-(-len(block) // workers) * int(lengths[block[0]]) for block in one_pass)


def blocks(
    lengths: Int[np.ndarray, " pairs"], tokens: int, cost: float, workers: int
) -> list[Block]:
    """The cut of least cost; arguments as for `passes`."""
    order = np.argsort(-lengths, kind="stable")
    widths = lengths[order[::workers]]  # of the first worker's pairs, which are the longest
    least = np.zeros(len(widths) + 1)  # cost of the first so many pairs
    begins = np.zeros(len(widths) + 1, dtype=np.int64)  # of the last block among them
    first = 0  # where a block may begin at the earliest
    for end in range(1, len(widths) + 1):
        while first < end - 1 and (end - first) * widths[first] > tokens:
            first += 1
        begin = np.arange(first, end)
        costs = least[first:end] + (end - begin) * widths[begin] + cost
        best = int(costs.argmin())
        least[end], begins[end] = costs[best], first + best
    cuts = [len(widths)]
    while cuts[-1] > 0:
        cuts.append(int(begins[cuts[-1]]))
    return [order[begin * workers : end * workers] for begin, end in pairwise(reversed(cuts))]
