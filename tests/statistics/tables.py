"""Tables that the tests of this folder draw."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from tuner.statistics.items import Table


@st.composite
def tables(draw: st.DrawFn, seeds: int | None = None, count: int | None = None) -> Table:
    seeds = draw(st.integers(2, 6)) if seeds is None else seeds
    count = draw(st.integers(2, 12)) if count is None else count
    sizes = draw(hn.arrays(int, count, elements=st.integers(1, 4)))
    whole = st.integers(-20, 20)
    totals = draw(hn.arrays(int, (seeds, count), elements=whole)) / (20.0 * sizes.sum())
    return Table(totals, sizes / sizes.sum())


def crossed(
    rng: np.random.Generator,
    seeds: int,
    components: int,
    deviations: tuple[float, float, float],
    mean: float = 0.0,
) -> Table:
    """Normal effects of seeds, of items and of both, as standard deviations of the mean of one."""
    of_seeds, of_items, of_both = deviations
    totals = (
        mean
        + of_seeds * rng.standard_normal((seeds, 1))
        + of_items * np.sqrt(components) * rng.standard_normal(components)
        + of_both * np.sqrt(components) * rng.standard_normal((seeds, components))
    ) / components
    return Table(totals, np.full(components, 1 / components))
