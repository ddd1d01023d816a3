"""Places of a setting's values on an axis."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuner.report.page.levels import RANGES, Levels, heights


def test_few_values_have_a_place_each_and_what_does_not_apply_comes_first() -> None:
    levels = Levels.of("fusion.layer", [3, None, 1, 3])
    assert levels.labels == ("last alone", "1", "3")
    assert [levels.place(value) for value in (None, 1, 3)] == [0, 1, 2]
    assert Levels.of("fusion.kind", ["last", "dlfa"]).labels == ("dlfa", "last")


def test_many_values_share_ranges_equal_on_the_settings_own_scale() -> None:
    rates = [10 ** (-4 + 5 * step / 50) for step in range(51)]  # 1e-4 to 10, logarithmic
    levels = Levels.of("optim.lr", rates)
    assert levels.labels == ("0.0001–0.001", "0.001–0.01", "0.01–0.1", "0.1–1", "1–10")
    places = [levels.place(rate) for rate in rates]
    assert places == sorted(places) and places[0] == 0 and places[-1] == RANGES - 1
    shares = Levels.of("mix.cross_lingual", [step / 10 for step in range(11)])
    assert shares.labels[0] == "0–0.2" and shares.place(0.55) == 2


@given(st.lists(st.one_of(st.none(), st.floats(1e-6, 1.0)), min_size=1))
def test_heights_stay_on_the_axis_and_in_order(values: list[float | None]) -> None:
    found, ticks = heights("optim.lr", values)
    assert all(0 <= height <= 1 for height in (*found, *ticks))
    known = sorted((v, h) for v, h in zip(values, found, strict=True) if v is not None)
    assert [h for _, h in known] == sorted(h for _, h in known)
    for value, height in zip(values, found, strict=True):
        assert value is not None or height == 0
