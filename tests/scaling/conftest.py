"""A planted study that several tests put numbers into."""

from __future__ import annotations

import pytest

from tests.scaling.planted import planted
from tests.scaling.studies import planned, recorded
from tuner.scaling.result import Scaled


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> Scaled:
    """Three B, three β, two layers, two granularities, three seeds."""
    return Scaled.of(recorded(planned(tmp_path_factory.mktemp("result")), planted))
