"""The messages between driver and workers pass through Ray Tune unchanged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, get_args

import pytest
from ray import cloudpickle
from ray.tune.utils import flatten_dict

from tuner.journal.records import Evaluation
from tuner.run.messages import (
    REPORT,
    START,
    AtRung,
    Failed,
    Finished,
    Heartbeat,
    Report,
    Started,
    TrialStart,
    start_in,
)
from tuner.study.trial import TrialConfig

pytestmark = pytest.mark.integration


def test_a_report_arrives_whole(evaluation: Callable[[int, float], Evaluation]) -> None:
    """It is pickled to the driver's process, and flattened with the result that holds it."""
    reports: list[Report] = [
        Started(0, ("here", "there")),
        Heartbeat(64, "evaluating"),
        AtRung(evaluation(400, 0.5)),
        Failed("non_finite", "diverged at step 3", 64),
        Finished(),
    ]
    assert {type(report) for report in reports} == set(get_args(Report))
    for report in reports:
        result = flatten_dict({REPORT: report, "config": {"a": {"b": 1}}})
        assert result["config/a/b"] == 1, "what would happen to a dict"
        assert cloudpickle.loads(cloudpickle.dumps(result))[REPORT] == report


def test_a_start_arrives_whole() -> None:
    """Ray copies the config, and pickles it to the worker's process."""
    start = TrialStart(3, TrialConfig.from_flat({"optim.lr": 1e-4, "seed": 7}), 8)
    config: dict[str, Any] = copy.deepcopy({START: start})
    assert start_in(cloudpickle.loads(cloudpickle.dumps(config))) == start
    with pytest.raises(FrozenInstanceError):
        start.number = 4  # type: ignore[misc]
