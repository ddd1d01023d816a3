"""The partition of pairs into forward passes with little padding and few blocks, within memory.

Pairs are sorted by length. Neighbours form a block, padded to its longest pair (see
`tuner.model.packing`). A block costs its tokens, padding included, plus a fixed cost. Dynamic
programming over the places where a block may end finds the cut of least cost exactly. Neighbouring
blocks share a pass as long as it holds them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Int

Rows = Int[np.ndarray, " _"]
"""The indices of pairs that are padded to one length."""


def passes(
    lengths: Int[np.ndarray, " pairs"], tokens: int, cost: float, workers: int = 1
) -> list[list[Rows]]:
    """Cut pairs into passes, the longest first, so that running out of memory happens at once.

    Args:
        lengths: tokens of each pair.
        tokens: most tokens of a worker's pass, padding included; a longer pair goes alone.
        cost: fixed cost of a block, in tokens.
        workers: number of workers that share the pairs; `Group.share` deals each block out to all.

    Returns:
        The blocks of each pass, at least one per pass.
    """
    found: list[list[Rows]] = []
    for block in blocks(lengths, tokens, cost, workers):
        if not found or held([*found[-1], block], lengths, workers) > tokens:
            found.append([])
        found[-1].append(block)
    return found


def held(one_pass: list[Rows], lengths: Int[np.ndarray, " pairs"], workers: int) -> int:
    """Return the tokens of the largest worker's share of a pass, padding included."""
    return sum(-(-len(block) // workers) * int(lengths[block[0]]) for block in one_pass)


def blocks(
    lengths: Int[np.ndarray, " pairs"], tokens: int, cost: float, workers: int
) -> list[Rows]:
    """Cut pairs into the blocks of least total cost; the arguments are those of `passes`."""
    order = np.argsort(-lengths, kind="stable")
    widths = lengths[order[::workers]]  # lengths of the first worker's pairs, which are the longest
    least = np.zeros(len(widths) + 1)  # least cost of the first n pairs
    begins = np.zeros(len(widths) + 1, dtype=np.int64)  # where their last block begins
    first = 0  # the earliest place where a block that ends at `end` may begin
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
