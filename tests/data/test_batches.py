from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import Within
from tuner.data import batches
from tuner.data.batches import HybridBatches, PlannedBatch
from tuner.errors import UserError
from tuner.study.trial import MixConfig

GRANULARITIES = ("language", "kind", "pair")

betas = st.one_of(
    st.floats(0, 1),
    st.integers(0, 100).map(lambda percent: percent / 100),
    st.sampled_from([1 / 3, 1e-9, 1 - 1e-16, 0.1 + 0.2]),
)


def plan(beta: float, granularity: Any, size: int, **others: Any) -> HybridBatches:
    mix = MixConfig(cross_lingual=beta, granularity=granularity)
    return HybridBatches(
        mix,
        size,
        others.get("languages", (0, 1, 2)),
        others.get("rows", np.arange(10)),
        others.get("seed", 0),
    )


def units(batch: PlannedBatch, granularity: str) -> list[tuple[bool, int, int]]:
    """Kind and languages of whatever the granularity balances: the batch, or each of its pairs."""
    pairs = list(
        zip(
            batch.cross_lingual.tolist(),
            batch.language1.tolist(),
            batch.language2.tolist(),
            strict=True,
        )
    )
    if granularity == "language":
        assert len(set(pairs)) == 1
        return pairs[:1]
    if granularity == "kind":
        assert len(set(batch.cross_lingual.tolist())) == 1
    return pairs


def equal(one: PlannedBatch, other: PlannedBatch) -> bool:
    return one.step == other.step and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("cross_lingual", "rows", "language1", "language2")
    )


@given(
    beta=betas,
    granularity=st.sampled_from(GRANULARITIES),
    size=st.integers(1, 9),
    count=st.integers(2, 5),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=100)
def test_mix_and_languages_are_balanced_at_every_prefix(
    beta: float, granularity: str, size: int, count: int, seed: int
) -> None:
    languages = range(10, 10 + count)
    batches = plan(beta, granularity, size, languages=languages, seed=seed)
    share = Fraction(repr(beta))
    kinds = 0
    seen: dict[bool, Counter[tuple[int, int]]] = {
        False: Counter({(lang, lang): 0 for lang in languages}),
        True: Counter(dict.fromkeys(permutations(languages, 2), 0)),
    }
    n = 0
    for batch in islice(batches, 60):
        of_batch = units(batch, granularity)
        for i, (cross_lingual, language1, language2) in enumerate(of_batch):
            if granularity != "kind" or i == 0:
                n += 1
                kinds += cross_lingual
                assert abs(kinds - share * n) < 1
            assert cross_lingual == (language1 != language2)
            counts = seen[cross_lingual]
            counts[language1, language2] += 1
            assert max(counts.values()) - min(counts.values()) <= 1
    assert set(seen[True]) == set(permutations(languages, 2))  # no other pair was ever drawn
    assert len(seen[False]) == count


def test_kinds_by_hand() -> None:
    # Seed 3 has the phase φ = 0.6796…; with β = 0.3, nβ + φ is 0.68, 0.98, 1.28, 1.58, 1.88, 2.18,
    # 2.48, 2.78, 3.08, 3.38, 3.68 for n = 0…10: it passes whole numbers in steps 1, 4 and 7.
    batches = plan(0.3, "language", 4, seed=3)
    crosses = [bool(batches[step].cross_lingual[0]) for step in range(10)]
    assert [step for step, cross in enumerate(crosses) if cross] == [1, 4, 7]


def test_a_plan_written_out() -> None:
    """Equal seeds must give equal plans in every version of the tool and of NumPy."""
    batch = plan(0.5, "pair", 12, rows=np.arange(100, 108), seed=7)[0]
    assert batch.rows.tolist() == [103, 101, 104, 105, 100, 102, 106, 107, 102, 104, 107, 106]
    assert batch.language1.tolist() == [1, 0, 0, 2, 2, 1, 2, 1, 0, 2, 1, 0]
    assert batch.language2.tolist() == [0, 0, 2, 2, 0, 1, 1, 1, 1, 2, 2, 0]


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize(("beta", "expected"), [(0.0, False), (1.0, True)])
def test_extreme_mixes_have_one_kind(granularity: str, beta: float, expected: bool) -> None:
    for seed in range(5):
        for batch in islice(plan(beta, granularity, 3, seed=seed), 50):
            assert batch.cross_lingual.tolist() == [expected] * 3


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("size", [1, 4, 7, 64])
def test_each_id_is_drawn_once_an_epoch(granularity: str, beta: float, size: int) -> None:
    ids = np.arange(3, 60, 3)  # 19 of them: no size divides them
    batches = plan(beta, granularity, size, rows=ids)
    drawn = np.concatenate([batch.rows for batch in islice(batches, -(-5 * len(ids) // size))])
    epochs = drawn[: 5 * len(ids)].reshape(5, len(ids))
    assert (np.sort(epochs, axis=1) == ids).all()
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 5  # each epoch has its own order


def test_order_of_pairs_depends_on_the_seed_alone() -> None:
    def order(seed: int, beta: float, granularity: str, size: int) -> list[int]:
        batches = plan(beta, granularity, size, rows=np.arange(37), seed=seed)
        return np.concatenate([batches[step].rows for step in range(-(-240 // size))])[
            :240
        ].tolist()

    reference = order(5, 0.0, "language", 1)
    for granularity in GRANULARITIES:
        for beta in (0.25, 1.0):
            for size in (3, 16, 240):
                assert order(5, beta, granularity, size) == reference
    assert order(6, 0.0, "language", 1) != reference


def test_seeds_differ_in_order_kinds_and_languages() -> None:
    def of_seed(seed: int) -> list[PlannedBatch]:
        return list(islice(plan(0.2, "language", 2, rows=np.arange(50), seed=seed), 30))

    plans = [of_seed(seed) for seed in range(20)]
    for name in ("rows", "cross_lingual", "language1"):
        different = {tuple(getattr(b, name)[0] for b in batches) for batches in plans}
        assert len(different) == (5 if name == "cross_lingual" else 20)  # β = 1/5 has 5 phases


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_any_step_can_be_resumed_at(granularity: str) -> None:
    sequential = list(islice(plan(0.3, granularity, 7, rows=np.arange(40), seed=3), 400))
    batches._draw.cache_clear()
    resumed = plan(0.3, granularity, 7, rows=np.arange(40), seed=3)
    for step in np.random.default_rng(0).permutation(400).tolist():
        assert equal(resumed[step], sequential[step])


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("beta", [0.1, 0.75, 0.3333333333333333])  # the last has 16 digits
def test_kinds_are_exact_however_far(granularity: str, beta: float) -> None:
    """A β of k decimals repeats after 10**k units, to the unit: no float could say that."""
    batches, far = plan(beta, granularity, 1, seed=1), 10**17
    kinds = [bool(batches[step].cross_lingual[0]) for step in range(40)]
    assert kinds == [bool(batches[far + step].cross_lingual[0]) for step in range(40)]


def test_orders_of_languages_are_uniform() -> None:
    firsts: Counter[tuple[int, ...]] = Counter()
    for seed in range(600):
        batches = plan(0.0, "language", 1, seed=seed)
        firsts[tuple(int(batches[step].language1[0]) for step in range(3))] += 1
    assert set(firsts) == set(permutations((0, 1, 2)))
    assert all(60 < count < 140 for count in firsts.values())  # expected 100, 4 deviations


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_cross_lingual_batches_need_two_languages(granularity: str) -> None:
    with pytest.raises(UserError, match=r"mix\.cross_lingual is 0\.25.*two languages.*got 1"):
        plan(0.25, granularity, 4, languages=(2,))
    batch = plan(0.0, granularity, 4, languages=(2,))[9]
    assert batch.language1.tolist() == batch.language2.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_planning_is_fast(granularity: str, within: Within) -> None:
    batches = plan(0.123456789, granularity, 512, languages=range(7), rows=np.arange(49_401))
    with within(300 * 1e-3):
        for step in range(300):  # more than three epochs of PAWS-X
            batches[step]
