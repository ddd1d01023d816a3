"""The study that `tuner confirm` begins or goes on with depends on what is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.confirm.searches import begin, searched
from tuner.cli import main
from tuner.confirm.command import ConfirmOptions, confirmations, planned
from tuner.confirm.design import confirmation
from tuner.errors import UserError
from tuner.journal.events import DriverEnded
from tuner.journal.journal import Journal
from tuner.study import StudyConfig


def end(study: StudyConfig) -> None:
    with Journal(study.folder) as journal:
        journal.append(DriverEnded(time=2.0, state="completed"))


def test_begun_gone_on_with_and_again(tmp_path: Path) -> None:
    search, folder = searched(tmp_path), tmp_path / "small"
    first = planned(search, folder, ConfirmOptions(top=2, seeds=(1, 2)))
    assert first == confirmation(search, folder, 2, (1, 2))
    begin(first, search)
    assert confirmations(search, folder) == ["small-confirm"]
    for asked in (
        ConfirmOptions(),
        ConfirmOptions(top=2),
        ConfirmOptions(seeds=(1, 2)),
        ConfirmOptions(top=9),
    ):
        assert planned(search, folder, asked) == first
    for asked in (ConfirmOptions(top=1), ConfirmOptions(seeds=(1, 3))):
        with pytest.raises(UserError, match="with 3 configurations") as refused:
            planned(search, folder, asked)
        assert "--again" in refused.value.remedy
    with pytest.raises(UserError, match="--again: small-confirm has not ended"):
        planned(search, folder, ConfirmOptions(top=1, again=True))
    end(first)
    second = planned(search, folder, ConfirmOptions(top=1, again=True))
    assert second.name == "small-confirm-2"
    begin(second, search)
    assert planned(search, folder, ConfirmOptions()) == second


def test_a_name_that_something_else_has(tmp_path: Path) -> None:
    search = searched(tmp_path)
    begin(confirmation(search, tmp_path / "small", 1, (1, 2)), search)
    other = search.model_copy(update={"id": "another search of that name"})
    with pytest.raises(UserError, match="is not a confirmation of this study small"):
        confirmations(other, tmp_path / "small")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "there is no study nothing"),
        (["nothing", "--seeds", "5"], "Give two numbers, such as --seeds 3+6"),
        (["nothing", "--seeds", "3+1"], "at least 1 seed chooses and 2 estimate"),
        (["nothing", "--seeds", "300+201"], "at most 500 together"),
        (["nothing", "--seeds", "x+y"], "--seeds x+y is not understood"),
        (["nothing", "--top", "0"], "--top"),
    ],
)
def test_mistakes_exit_with_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tuner", "confirm", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
