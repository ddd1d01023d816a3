"""`tuner add` and `tuner stop STUDY TRIAL`: their checks, their requests and their answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.search.examples import Make, create, run
from tuner.cli import main
from tuner.errors import UserError
from tuner.journal import inbox
from tuner.journal.inbox import AddTrial, StopTrial
from tuner.journal.journal import Journal
from tuner.run.asking import ask_to_add, ask_to_stop
from tuner.search.driver import Driver
from tuner.study import StudyConfig

POINT = ["optim.lr=1e-3", "mix.cross_lingual=0.5", "fusion.kind=dlfa", "fusion.layer=2"]


@pytest.fixture
def begun(study: StudyConfig, evaluation: Make) -> Path:
    """A study that was killed with its third trial under way."""
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation, stop_after=7)
    return Path(str(study.folder))


def test_a_point_is_sent_whole(begun: Path) -> None:
    """With the settings that were left out; the answer says who acts on it."""
    said = ask_to_add(begun, POINT)
    (request,) = inbox.waiting(begun).values()
    assert request == AddTrial(
        params={
            "optim.lr": 1e-3,
            "mix.cross_lingual": 0.5,
            "batch.effective_size": 32,
            "fusion.kind": "dlfa",
            "fusion.layer": 2,
        }
    )
    assert f"tuner resume {begun}" in said or "tuner resume small" in said
    assert "by hand" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["optim.lr"], "key=value"),
        (["optim.lr="], "key=value"),
        (["optim.lr=5"], r"optim.lr=5.* lies outside the space of small"),
        (["optim.lr=[1"], "optim.lr"),
        (["optim.rate=1"], "is not varied"),
        (["optim.lr=1e-3", "fusion.layer=1"], "applies only with fusion.kind dlfa"),
    ],
)
def test_what_is_no_point_is_refused_and_not_sent(
    begun: Path, settings: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        ask_to_add(begun, settings)
    assert inbox.waiting(begun) == {}


def test_more_than_the_study_has_room_for_is_refused_before_it_is_sent(begun: Path) -> None:
    """Its driver would refuse it later, unseen."""
    with Journal(begun) as journal:
        history = journal.history
        assert history.settings is not None and history.settings.budget.trials is not None
        room = history.settings.budget.trials - len(history.trials)
    for number in range(room):
        ask_to_add(begun, [f"optim.lr={1e-3 + number * 1e-5}", *POINT[1:]])
    with pytest.raises(UserError, match="have begun or are asked for"):
        ask_to_add(begun, ["optim.lr=2e-3", *POINT[1:]])


def test_a_point_that_was_tried_is_refused(begun: Path) -> None:
    with Journal(begun) as journal:
        trial = journal.history.trials[1]
    settings = [f"{name}={value}" for name, value in trial.params.items()]
    with pytest.raises(UserError, match="trial 001 of small has these settings"):
        ask_to_add(begun, settings)


def test_a_trial_is_stopped_by_its_number(begun: Path) -> None:
    said = ask_to_stop(begun, 2)
    assert list(inbox.waiting(begun).values()) == [StopTrial(number=2)]
    assert "002" in said and "by hand" in said
    for number, why in (
        (0, "is its control"),
        (1, "has ended: "),
        (2, "is asked for the end of trial 002 already"),
        (99, "no trial 99"),
    ):
        with pytest.raises(UserError, match=why):
            ask_to_stop(begun, number)


def test_a_complete_study_takes_no_requests(study: StudyConfig, evaluation: Make) -> None:
    with create(study) as journal:
        driver = Driver(study, journal)
        driver.start()
        run(driver, study, evaluation)
        driver.finish()
    with pytest.raises(UserError, match="--trials \\+8"):
        ask_to_add(Path(str(study.folder)), POINT)


def test_the_commands(
    begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["add", str(begun), *POINT], ["stop", str(begun), "2"]):
        monkeypatch.setattr("sys.argv", ["tuner", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0 and "by hand" in capsys.readouterr().out
    assert len(inbox.waiting(begun)) == 2
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    monkeypatch.setattr("sys.argv", ["tuner", "stop", str(begun)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "Name the trial" in capsys.readouterr().err
