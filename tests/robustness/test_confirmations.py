"""Journals of confirmations that somebody forged: every reader has a result or a message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.confirm.examples import confirmed
from tests.robustness.commands import examples, in_time
from tests.robustness.conftest import copied
from tests.robustness.damage import forge
from tuner.blocks.html import html
from tuner.blocks.markdown import markdown
from tuner.confirm.result import Confirmed
from tuner.errors import UserError
from tuner.journal.events import (
    DriverEnded,
    DriverStarted,
    Evaluated,
    Event,
    Recommended,
    StudyCreated,
    TrialCreated,
    TrialEnded,
    TrialStarted,
)
from tuner.journal.events import Tested as OnTestRead
from tuner.journal.journal import Journal, read_history
from tuner.journal.ledger import Ledger
from tuner.journal.records import StudyRecord
from tuner.report.compare import compare
from tuner.report.leaderboard import as_csv
from tuner.report.page.beside import RelatedStudies
from tuner.report.page.write import page_of
from tuner.report.sides import side_of
from tuner.report.status import look_at, look_at_all_of, show_status
from tuner.tracking.contents import artifacts, of_study, of_trial
from tuner.tracking.view import study_view

RIGHT = {
    name: 5
    for name in ("en", "de", "es", "ja", *(f"{a}-{b}" for a in ("en", "de") for b in ("es", "ja")))
}


def events(record: StudyRecord) -> Iterator[Event]:
    """Yield the events as its driver writes them."""
    yield DriverStarted(time=2.0)
    for trial in record.trials:
        yield TrialCreated(
            time=3.0,
            number=trial.number,
            origin=trial.origin,
            arm=trial.arm,
            params=trial.params,
            config=trial.config,
            budget=trial.budget,
        )
        yield TrialStarted(time=4.0, number=trial.number)
        for evaluation in trial.evaluations:
            yield Evaluated(time=5.0, number=trial.number, evaluation=evaluation)
        yield TrialEnded(time=6.0, number=trial.number, state="completed")
    assert record.recommendation is not None
    yield Recommended(time=7.0, recommendation=record.recommendation)
    for trial in record.trials:
        for on_test in trial.tests:
            yield OnTestRead(time=8.0, number=trial.number, on_test=on_test)
    yield DriverEnded(time=9.0, state="completed")


@pytest.fixture(scope="module")
def confirmation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("confirmed")
    two = [(RIGHT, RIGHT), (RIGHT, RIGHT)]
    record = confirmed({"baseline": two, "trial 3": two}, "trial 3")
    folder = storage / "small"
    created = StudyCreated(
        time=1.0,
        name="small",
        id=record.id,
        settings=record.settings.model_dump(mode="json")
        | {"name": "small", "storage": str(storage)},
        facts=record.facts,
        rungs=record.rungs,
    )
    with Journal.create(folder, created) as journal:
        for event in events(record):
            journal.append(event)
    return folder


def read(folder: Path) -> int:
    """By every reader; how many had a result."""
    done = 0
    with in_time():
        with suppress(UserError):
            record = read_history(folder).record(1e9)
            Ledger.of(record)
            as_csv(record)
            done += 1
            parts = [of_study(record), *(of_trial(t, record, "p") for t in record.trials)]
            done += bool(parts and artifacts(record) and study_view(record))
        with suppress(UserError):
            status = look_at(folder)
            status.as_json()
            show_status(status, Console(file=StringIO(), width=100))
            done += 1
        with suppress(UserError):
            status, record = look_at_all_of(folder)
            page = page_of(record, status, RelatedStudies.of(record, folder))
            done += bool(html(page) and markdown(page))
        with suppress(UserError):
            done += bool(Confirmed.of(read_history(folder).record()))
        with suppress(UserError):
            side = side_of("small:0", str(folder.parent))
            done += bool(compare(side, side_of("small", str(folder.parent)), oracle=True))
    return done


@pytest.mark.takes_long("every reader of a study, twenty times")
@examples(20)
@given(data=st.data())
def test_forged(data: st.DataObject, confirmation: Path) -> None:
    with copied(confirmation) as folder:
        forge(data, folder)
        read(folder)


def test_a_sound_one_is_read_by_all(confirmation: Path) -> None:
    with copied(confirmation) as folder:
        assert read(folder) == 6
