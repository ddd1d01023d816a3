"""Tables of seeds by components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.statistics.tables import tables
from tuner.statistics.items import Table, combined

RIGHT = np.array([[1, 1, 0, 1], [0, 1, 0, 1]], dtype=bool)
COMPONENTS = np.array([7, 7, 3, 9])


def test_one_set_by_hand() -> None:
    table = Table.of([RIGHT], [COMPONENTS])
    assert np.allclose(table.totals, [[0, 0.5, 0.25], [0, 0.25, 0.25]])  # components 3, 7, 9
    assert np.allclose(table.weights, [0.25, 0.5, 0.25])
    assert np.allclose(table.scores, [0.75, 0.5])
    assert table.mean == pytest.approx(0.625)


def test_a_component_runs_across_languages_of_unequal_size() -> None:
    # The second language has no clean item of components 3 and 9, and one of a component 8.
    table = Table.of([RIGHT, RIGHT[:, :2]], [COMPONENTS, np.array([7, 8])])
    assert np.allclose(table.weights, [0.125, 0.5, 0.25, 0.125])  # 3, 7, 8, 9
    assert np.allclose(table.totals, [[0, 0.5, 0.25, 0.125], [0, 0.125, 0.25, 0.125]])
    assert np.allclose(table.scores, [(0.75 + 1) / 2, (0.5 + 0.5) / 2])


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    seeds, sizes = draw(st.integers(1, 4)), draw(st.lists(st.integers(1, 9), min_size=1))
    right = [rng.random((seeds, size)) < 0.7 for size in sizes]
    return right, [rng.integers(0, 5, size) for size in sizes]


@given(answers())
def test_names_order_and_repetition_do_not_matter(
    drawn: tuple[list[np.ndarray], list[np.ndarray]],
) -> None:
    right, components = drawn
    table = Table.of(right, components)
    assert np.allclose(table.scores, np.mean([each.mean(axis=1) for each in right], axis=0))

    names = np.array([40, 10, 50, 20, 30])  # components renamed, and so in another order
    renamed = Table.of(right, [names[each] for each in components])
    order = np.argsort(names[np.unique(np.concatenate(components))])
    assert np.allclose(renamed.totals, table.totals[:, order])

    shuffled = [np.random.default_rng(1).permutation(len(each)) for each in components]
    moved = Table.of(
        [each[:, to] for each, to in zip(right, shuffled, strict=True)],
        [each[to] for each, to in zip(components, shuffled, strict=True)],
    )
    assert np.allclose(moved.totals, table.totals)

    twice = Table.of(right * 2, components * 2)  # every language given twice
    assert np.allclose(twice.totals, table.totals) and np.allclose(twice.weights, table.weights)


@given(st.data())
def test_contrasts_are_linear(data: st.DataObject) -> None:
    first = data.draw(tables(3, 5))
    second = Table(data.draw(tables(3, 5)).totals, first.weights)
    both = combined([first, second], [2.0, -0.5])
    assert np.allclose(both.scores, 2 * first.scores - 0.5 * second.scores)
    assert np.allclose(first.minus(second).totals, -second.minus(first).totals)
    assert np.allclose(first.minus(second).weights, first.weights)


def test_what_is_not_paired_is_refused() -> None:
    table = Table.of([RIGHT], [COMPONENTS])
    with pytest.raises(AssertionError, match="not paired"):
        table.minus(Table.of([RIGHT[:1]], [COMPONENTS]))
    with pytest.raises(AssertionError, match="not paired"):
        table.minus(Table.of([RIGHT], [np.array([7, 3, 3, 9])]))
