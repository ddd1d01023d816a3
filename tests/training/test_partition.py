"""Forward passes: every pair once, none too large, and no cheaper cut."""

from __future__ import annotations

from itertools import chain, pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.data.tokens import Pairs
from tuner.training.group import Group
from tuner.training.partition import blocks, held, passes

lengths_of_pairs = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def cost(lengths: list[int], tokens: int, cuts: list[int], of_block: int) -> float:
    """Return the cost of sorted pairs that are cut there."""
    total = 0.0
    for begin, end in pairwise(cuts):
        held = (end - begin) * lengths[begin]
        total += held + of_block if end - begin == 1 or held <= tokens else np.inf
    return total


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=9),
    tokens=st.integers(1, 150),
    of_block=st.integers(0, 40),
)
def test_no_cut_costs_less(lengths: list[int], tokens: int, of_block: int) -> None:
    """All 2^(n-1) ways to cut."""
    found = blocks(np.array(lengths), tokens, float(of_block), workers=1)
    lengths = sorted(lengths, reverse=True)
    ways = [
        [0, *(place for place, cut in enumerate(chosen, start=1) if cut), len(lengths)]
        for chosen in product([False, True], repeat=len(lengths) - 1)
    ]
    least = min(cost(lengths, tokens, cuts, of_block) for cuts in ways)
    ends = np.cumsum([len(some) for some in found]).tolist()
    assert cost(lengths, tokens, [0, *ends], of_block) == least


@given(lengths=lengths_of_pairs, tokens=st.integers(1, 300), workers=st.integers(1, 7))
def test_workers_share_passes_evenly(lengths: list[int], tokens: int, workers: int) -> None:
    """Every pair is with one worker; none has more than one pair, or one longest pair, above."""
    found = blocks(np.array(lengths), tokens, 3.0, workers)
    groups = [Group(rank, workers) for rank in range(workers)]
    shares = [[group.share(some) for some in found] for group in groups]

    pairs = [np.concatenate(share).tolist() for share in shares]
    assert sorted(chain.from_iterable(pairs)) == list(range(len(lengths)))
    assert {len(own) for own in pairs} <= {len(pairs[-1]), len(pairs[-1]) + 1}
    assert len(pairs[0]) == groups[0].largest_share(len(lengths))
    work = [sum(lengths[pair] for pair in own) for own in pairs]
    assert max(work) - min(work) <= max(lengths)
    for share in shares:
        for some in filter(len, share):
            assert len(some) == 1 or len(some) * max(lengths[pair] for pair in some) <= tokens
    firsts = [lengths[some[0]] for some in found]
    assert firsts == sorted(firsts, reverse=True), "what does not fit shows at once"


def test_blocks_that_cost_more_by_themselves_are_fewer_and_larger() -> None:
    lengths = np.random.default_rng(0).integers(20, 128, 512)
    small, large = (blocks(lengths, 32 * 128, cost, workers=1) for cost in (16.0, 4096.0))
    padded = [sum(len(some) * lengths[some].max() for some in found) for found in (small, large)]
    assert len(large) < len(small)
    assert lengths.sum() < padded[0] <= padded[1] < 1.1 * lengths.sum() < 512 * 128


@given(lengths=lengths_of_pairs, tokens=st.integers(1, 300), workers=st.integers(1, 7))
def test_a_pass_takes_what_fits(lengths: list[int], tokens: int, workers: int) -> None:
    """Every block once, in order; the next one would be too much."""
    found = passes(np.array(lengths), tokens, 3.0, workers)
    expected = blocks(np.array(lengths), tokens, 3.0, workers)
    assert [block.tolist() for some in found for block in some] == [b.tolist() for b in expected]
    first = [[block[::workers] for block in some] for some in found]  # shares of the first worker
    sizes = [
        [len(share) * max(lengths[pair] for pair in share) for share in some] for some in first
    ]
    assert sizes == [
        [held([block], np.array(lengths), workers) for block in some] for some in found
    ]
    for here, following in pairwise(sizes):
        assert sum(here) + following[0] > tokens
    for some, of_blocks in zip(first, sizes, strict=True):
        assert sum(of_blocks) <= tokens or sum(map(len, some)) == 1


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20), typed=st.booleans())
def test_what_is_chosen_keeps_every_token(lengths: list[int], typed: bool) -> None:
    mask = (np.arange(9) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.arange(mask.size).reshape(mask.shape) * mask
    pairs = Pairs(ids, mask, ids % 2 if typed else None, np.arange(len(lengths)))
    for some in blocks(np.array(lengths), 20, 3.0, workers=1):
        part = pairs.chosen(some)
        width = part.input_ids.shape[1]
        assert width == max(lengths[label] for label in part.labels), "no padding to spare"
        assert np.array_equal(part.input_ids, ids[some, :width])
        assert np.array_equal(part.attention_mask, mask[some, :width])
        assert (part.token_type_ids is not None) is typed
        if part.token_type_ids is not None:
            assert np.array_equal(part.token_type_ids, part.input_ids % 2)
