"""The small study, and whole studies in processes."""

from __future__ import annotations

import pytest

from tests.examples import evaluation, place, study, tuner  # noqa: F401 (fixtures)
from tuner.journal import journal as journal_module
from tuner.study import StudyConfig


@pytest.fixture(params=["local", "shared"])
def study_there(
    request: pytest.FixtureRequest,
    study: StudyConfig,  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> StudyConfig:
    """On a local disk, and on one that is taken for a network file system."""
    monkeypatch.setattr(journal_module, "is_shared", lambda _: request.param == "shared")
    return study
