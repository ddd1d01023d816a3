from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tuner.statistics.items import Table
from tuner.statistics.joint import jointly_zero

WEIGHTS = np.random.default_rng(1).dirichlet(np.full(80, 5.0))


def noise(
    random: np.random.Generator, contrasts: int, seeds: int, between: float, items: float
) -> np.ndarray:
    """Totals of contrasts that are 0 but for seeds, items and both together.

    Neighbouring contrasts share noise of seeds.
    """
    drawn = random.standard_normal((contrasts + 1, seeds))
    by_seed = between * (drawn[1:] + drawn[:-1])
    by_component = items * random.standard_normal((contrasts, len(WEIGHTS)))
    of_both = random.standard_normal((contrasts, seeds, len(WEIGHTS)))
    return (by_seed[:, :, None] + by_component[:, None, :] + of_both) * WEIGHTS


def tables(totals: np.ndarray) -> list[Table]:
    return [Table(each, WEIGHTS) for each in totals]


def test_one_contrast_over_seeds_alone_is_the_t_test() -> None:
    scores = np.array([0.4, 1.3, -0.2, 0.9, 0.8])
    tested = jointly_zero([Table(np.outer(scores, WEIGHTS), WEIGHTS)])
    expected = stats.ttest_1samp(scores, 0)
    assert tested.statistic == pytest.approx(expected.statistic**2)
    assert tested.p == pytest.approx(expected.pvalue)
    assert (tested.freedom, tested.error_freedom) == pytest.approx((1, 4))


def test_one_contrast_of_one_seed_is_over_items() -> None:
    """With equal components, the t test of their values; its degrees of freedom but for one."""
    values = np.random.default_rng(2).normal(0.3, 1, 40)
    weights = np.full(40, 1 / 40)
    tested = jointly_zero([Table((values * weights)[None], weights)])
    expected = stats.ttest_1samp(values, 0)
    assert tested.statistic == pytest.approx(expected.statistic**2)
    assert tested.p == pytest.approx(expected.pvalue)


def test_any_orthonormal_basis_gives_the_same() -> None:
    random = np.random.default_rng(3)
    totals = noise(random, 5, 4, 1.0, 3.0)
    turned = np.linalg.qr(random.standard_normal((5, 5))).Q
    one, other = jointly_zero(tables(totals)), jointly_zero(tables(np.tensordot(turned, totals, 1)))
    for part in ("statistic", "freedom", "error_freedom", "p", "beyond_noise"):
        assert getattr(one, part) == pytest.approx(getattr(other, part))


@pytest.mark.parametrize(
    ("seeds", "between", "items"), [(3, 1.0, 0.0), (5, 0.0, 0.3), (5, 0.3, 3.0), (1, 0.0, 3.0)]
)
def test_contrasts_that_are_zero_are_rarely_found_not_to_be(
    seeds: int, between: float, items: float
) -> None:
    """19 contrasts, more than seeds; 150 draws: at most 5% and three standard errors.

    Where seeds and items together are most of the noise, too: it must not be counted twice.
    """
    random = np.random.default_rng(4)
    p = [jointly_zero(tables(noise(random, 19, seeds, between, items))).p for _ in range(150)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert 0.1 < np.mean(np.array(p) < 0.2) < 0.3


def test_what_is_beyond_noise_is_the_sum_of_true_squares() -> None:
    random = np.random.default_rng(5)
    truth = np.array([1.0, -2.0, 0.0, 0.5])
    found = [
        jointly_zero(tables(noise(random, 4, 5, 0.3, 1.0) + truth[:, None, None] * WEIGHTS))
        for _ in range(100)
    ]
    assert np.mean([each.beyond_noise for each in found]) == pytest.approx(5.25, rel=0.05)
    assert max(each.p for each in found) < 0.05


def test_contrasts_without_any_noise() -> None:
    nothing = np.zeros((3, 4, len(WEIGHTS)))
    assert jointly_zero(tables(nothing)).p == 1
    assert jointly_zero(tables(nothing + WEIGHTS)).p < 1e-12


def test_tables_of_other_items_are_refused() -> None:
    other = Table(np.ones((3, 2)), np.array([0.5, 0.5]))
    with pytest.raises(AssertionError):
        jointly_zero([Table(np.ones((3, 2)), np.array([0.4, 0.6])), other])


def test_rounding_is_no_departure() -> None:
    """Contrasts that are nothing but for rounding; and ones without noise that are something."""
    rounding = np.full((2, 3, len(WEIGHTS)), 1e-16) * WEIGHTS
    nothing = jointly_zero(tables(rounding * np.array([1, -2])[:, None, None]))
    assert (nothing.p, nothing.beyond_noise) == (1.0, 0.0)
    something = jointly_zero(tables(np.broadcast_to(0.01 * WEIGHTS, (2, 3, len(WEIGHTS)))))
    assert something.p == 0 and something.beyond_noise == pytest.approx(2e-4)
