"""The spending of a study, by hand; budgets are kept whatever the order of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import SETTINGS
from tests.records import facts
from tuner.errors import UserError
from tuner.journal.events import (
    AttemptFailed,
    DriverEnded,
    DriverStarted,
    Event,
    Progressed,
    SettingsChanged,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialRestored,
    TrialStarted,
)
from tuner.journal.history import History
from tuner.journal.ledger import Ledger, Limits
from tuner.journal.records import Failure, StudyRecord
from tuner.study import StudyConfig
from tuner.study.durations import duration_of, seconds_of
from tuner.study.file import validate_study


def made(**budget: Any) -> StudyConfig:
    """Nine trials of 900 pairs at most, on one GPU each."""
    settings = {**SETTINGS, "resources": {"gpus_per_trial": 1}}
    return validate_study({**settings, "budget": {**SETTINGS["budget"], **budget}}, "the test")


def told(study: StudyConfig, *events: Event) -> StudyRecord:
    """The study after these events."""
    created = StudyCreated(
        time=0,
        name=study.name,
        id="abc",
        settings=study.model_dump(mode="json"),
        facts=facts(),
        rungs=study.rungs,
    )
    return History.of([created, *events]).record()


def trial(study: StudyConfig, number: int, time: float) -> list[Event]:
    """Created and started at a time."""
    config = study.baseline_config()
    return [
        TrialCreated(
            time=time,
            number=number,
            origin="sampler",
            params={},
            config=config,
            budget=study.rungs[-1],
        ),
        TrialStarted(time=time, number=number, gpus=0.5),
    ]


def test_by_hand() -> None:
    """One trial of each kind; a worker and a driver are lost; half a GPU each."""
    study = made()
    lost = Failure(time=20, kind="lost", reason="gone", pairs_seen=300)
    ledger = Ledger.of(
        told(
            study,
            DriverStarted(time=0),
            *trial(study, 0, time=0),
            Progressed(time=10, pairs_seen={0: 250}),
            AttemptFailed(time=20, number=0, failure=lost),
            TrialStarted(time=30, number=0, gpus=0.5),
            TrialRestored(time=31, number=0, pairs_seen=200),  # 100 pairs are lost
            Progressed(time=50, pairs_seen={0: 900}),
            TrialEnded(time=60, number=0, state="completed"),
            *trial(study, 1, time=60),
            Progressed(time=70, pairs_seen={1: 100}),
            TrialEnded(time=80, number=1, state="pruned"),
            *trial(study, 2, time=80),
            Progressed(time=90, pairs_seen={2: 70}),
            # the driver is killed here, and 40 pairs of its trial with it
            SettingsChanged(time=990, settings={}),  # the next one's, just before it starts
            DriverStarted(time=1000),
            TrialStarted(time=1010, number=2, gpus=0.5),
            TrialRestored(time=1011, number=2, pairs_seen=30),
            Progressed(time=1020, pairs_seen={2: 50}),
            TrialEnded(time=1030, number=2, state="failed"),
            *trial(study, 3, time=1030),
            Progressed(time=1040, pairs_seen={3: 7}),
            DriverEnded(time=1050, state="interrupted"),
        )
    )
    assert (ledger.useful, ledger.pruned, ledger.failed, ledger.under_way) == (900, 100, 50, 7)
    assert ledger.repeated == 100 + 40
    assert ledger.pairs == 900 + 100 + 50 + 7 + 140
    held = 20 + 30 + 20 + 10 + 20 + 20  # of trial 2's first attempt what is known; 3's to the end
    assert ledger.gpu_hours == pytest.approx(0.5 * held / 3600)
    assert ledger.seconds == 90 + 50


def test_limits_leave_the_share_of_confirm() -> None:
    limits = Limits.of(made(total_pairs=10_000, gpu_hours=4, wall="1h30m", confirm_share=0.25))
    assert (limits.total_pairs, limits.gpu_hours, limits.seconds) == (7500, 3, 0.75 * 5400)
    assert limits.largest_trial == 960, "whole steps of 64, the largest B, to 900 pairs"


@pytest.mark.parametrize(
    ("budget", "which"),
    [
        ({"total_pairs": 907}, "budget.total_pairs is spent: 907 pairs"),
        ({"gpu_hours": 0.01}, "budget.gpu_hours is spent: 0.01"),
        ({"wall": "90s"}, "budget.wall is spent: 90 s"),
        ({"total_pairs": 908, "gpu_hours": 0.0101, "wall": "91s"}, ""),
    ],
)
def test_a_budget_is_spent_to_the_last_pair_and_second(budget: dict[str, Any], which: str) -> None:
    study = made(**budget)
    events = [DriverStarted(time=0), *trial(study, 0, time=18)]
    events += [Progressed(time=90, pairs_seen={0: 907})]
    spent = Limits.of(study).spent(Ledger.of(told(study, *events)))
    assert spent.startswith(which) and bool(which) == bool(spent)


def test_a_trial_is_begun_only_if_it_can_be_ended() -> None:
    """B = 32 takes 928 pairs to 900; another may be one of 64, which takes 960."""
    for total, room in ((928 + 960, True), (928 + 959, False)):
        study = made(total_pairs=total)
        running = told(study, DriverStarted(time=0), *trial(study, 0, 1))
        assert Limits.of(study).room(Ledger.of(running), running.trials) is room


@pytest.mark.parametrize(
    ("budget", "complaint"),
    [
        ({"total_pairs": 899}, "less than one trial's"),
        ({"total_pairs": 1000, "confirm_share": 0.2}, "leaves the search 800 pairs"),
        ({"wall": "soon"}, "a duration is written as 90m, 1h30m or 45s, got 'soon'"),
        ({"wall": 90}, "budget.wall"),
        ({"confirm_share": 1}, "budget.confirm_share"),
    ],
)
def test_budgets_that_cannot_be(budget: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        made(**budget)


def test_gpu_hours_without_gpus(tmp_path: Path) -> None:
    budget = {**SETTINGS["budget"], "gpu_hours": 1}
    with pytest.raises(UserError, match=r"budget\.wall or budget\.total_pairs"):
        validate_study({**SETTINGS, "budget": budget}, "the test")


@given(st.integers(min_value=1, max_value=10**7))
def test_durations_there_and_back(seconds: int) -> None:
    assert seconds_of(duration_of(seconds)) == seconds
