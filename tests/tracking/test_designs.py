"""Designs in MLflow: which trials have a score, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scaling.planted import SMALL, planted
from tests.scaling.studies import planned, recorded
from tuner.tracking.contents import SCORE, of_study, of_trial

pytestmark = pytest.mark.integration


def test_tuning_trials_are_named_and_not_scored(tmp_path: Path) -> None:
    record = recorded(planned(tmp_path, **SMALL), planted)
    tuning, compared = (of_trial(record.trials[number], record, "run") for number in (0, 6))
    assert tuning.name == "trial 000 tuning" and compared.name == "trial 006"
    assert SCORE not in {metric.key for metric in tuning.metrics}
    assert SCORE in {metric.key for metric in compared.metrics}
    note = tuning.tags["mlflow.note.content"]
    assert "chooses a learning rate, not compared" in note and "unconfirmed" not in note
    parent = of_study(record)
    assert parent.metrics == [] and "sampler.kind" not in parent.params
    assert parent.params["design.kind"] == "scaling" and parent.params["design.hold"] == "pairs"


def test_unequal_budgets_have_no_score_that_may_be_ranked(tmp_path: Path) -> None:
    record = recorded(planned(tmp_path, **SMALL, design__hold="steps"), planted)
    keys = {metric.key for t in record.trials for metric in of_trial(t, record, "run").metrics}
    assert SCORE not in keys and "select/objective" in keys
