"""Times of tests are reported, and fail a test only where that is asked for."""

from __future__ import annotations

import pytest

from tests.conftest import SLOW
from tests.waiting import Within


def test_a_slow_machine_fails_no_test(
    within: Within, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = request.node.user_properties
    monkeypatch.setattr(request.config.option, "strict_times", False)
    with within(-1.0):  # CPU seconds, which every machine exceeds
        pass
    assert [name for name, _ in measured] == [SLOW]
    monkeypatch.setattr(request.config.option, "strict_times", True)
    with pytest.raises(pytest.fail.Exception, match="CPU seconds"), within(-1.0):
        pass
    measured.clear()  # not a finding of this run
