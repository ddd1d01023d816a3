"""Study folders that were damaged, or made by someone who means harm.

Whoever reads or goes on with one gets a study or a message; nothing hangs, and nothing outside of
the folder is changed. Ray is not started here: `resume` is taken to where it would be.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.robustness.commands import examples, in_time, tree, tuner
from tests.robustness.conftest import NAME, copied
from tests.robustness.damage import DAMAGE, KINDS, PLACES, files, forge, put
from tuner.errors import UserError
from tuner.prepare import check_unchanged
from tuner.search.changes import Extension, extended, nothing_left
from tuner.search.driver import Driver
from tuner.search.journal import FILE, Journal, read_history
from tuner.search.trial_files import TrialFiles
from tuner.training.checkpoint import MODEL, Checkpoints, name_of

LOOKS = [
    ["status", NAME],
    ["status", NAME, "--json"],
    ["list"],
    ["list", "--json"],
    ["report", NAME],
    ["report", NAME, "--json"],
]
WRITTEN = ("figures", "leaderboard.csv", ".partial-leaderboard.csv")
"""`report` writes these, which takes a second; elsewhere two kinds of links alone get a report."""
FOUND = {"data": {"checksum": "a"}, "encoder": {"checksum": "b"}}


def go_on(folder: Path) -> None:
    """What `tuner resume` does up to where Ray would start, and what the first worker does."""
    with in_time(), Journal(folder) as journal:
        record = journal.history.record()
        study = extended(record, folder, Extension(trials="+1"))
        assert study.folder == folder.absolute()
        if nothing_left(record, study):
            return
        files = TrialFiles(study)
        driver = Driver(study, journal, [files])
        driver.start()
        while (trial := driver.next_trial()) is not None:
            driver.trial_started(trial.number)
            checkpoints = Checkpoints(study.trial_folder(trial.number), 60.0)
            checkpoints.latest("mine")
            driver.attempt_failed(trial.number, "non_finite", "the loss is nan")
        driver.finish()
        files.close()


def look_and_go_on(folder: Path, looks: Sequence[Sequence[str]] = LOOKS) -> None:
    """What reads or writes the folder, one after the other."""
    outside = tree(Path.cwd(), but=folder)
    for arguments in looks:
        tuner(*arguments)
    assert tree(Path.cwd(), but=folder) == outside
    with suppress(UserError):
        check_unchanged(read_history(folder).record().facts, FOUND)
    with suppress(UserError):
        go_on(folder)
    assert tree(Path.cwd(), but=folder) == outside


@examples(7)
@given(data=st.data())
def test_damaged_by_chance(data: st.DataObject, sound: Path) -> None:
    with copied(sound) as folder:
        for _ in range(data.draw(st.integers(1, 2))):
            if found := files(folder):
                damage = data.draw(st.sampled_from(DAMAGE))
                damage(data, data.draw(st.sampled_from(found)))
        look_and_go_on(folder)


@examples(10)
@given(data=st.data())
def test_forged(data: st.DataObject, sound: Path) -> None:
    with copied(sound) as folder:
        forge(data, folder)
        look_and_go_on(folder)


@pytest.mark.parametrize("place", PLACES)
def test_leading_elsewhere(place: str, sound: Path) -> None:
    """Links are not followed, pipes not waited for, wherever they are."""
    for kind in KINDS:
        with copied(sound) as folder:
            put(folder / place, kind)
            shown = "outside" in kind or place in WRITTEN
            look_and_go_on(folder, [["report" if shown else "status", NAME]])


@examples(3)
@given(data=st.data())
def test_forged_in_a_figure(data: st.DataObject, sound: Path) -> None:
    with copied(sound) as folder:
        forge(data, folder)
        outside = tree(Path.cwd(), but=folder)
        tuner("report", NAME, "--against", "optim.lr", "--metric", "train/loss")
        assert tree(Path.cwd(), but=folder) == outside


@pytest.mark.parametrize("place", ["journal/000000000001.json", "drivers/000001.json"])
def test_segments_and_leases_that_are_no_files(place: str, sound: Path) -> None:
    """A journal of numbered files, as where several machines can write."""
    for kind in KINDS:
        with copied(sound) as folder:
            records = (folder / FILE).read_bytes().splitlines(keepends=True)
            (folder / FILE).unlink()
            (folder / "journal").mkdir()
            for number, record in enumerate(records):
                (folder / "journal" / f"{number:012d}.json").write_bytes(record)
            put(folder / place, kind)
            look_and_go_on(folder, [["status", NAME]])


def test_weights_that_never_end(sound: Path) -> None:
    """Of a trial that is complete: a terabyte is not summed up."""
    with copied(sound) as folder:
        record = read_history(folder).record()
        best = record.best
        assert best is not None and best.last is not None
        step = folder / "trials" / f"{best.number:04d}" / name_of(best.last.step)
        shutil.copytree(next((folder / "trials" / "0007").iterdir()), step)
        os.truncate(step / MODEL, 2**40)
        go_on(folder)
        assert not (folder / "best").exists()


@pytest.mark.parametrize(
    "params", [{}, {"optim.lr": 0.5, "seed": 0}, {"optim.lr": 1e-3, "seed": "x"}, {"seed": 1}]
)
def test_a_trial_that_its_space_has_not(params: dict[str, Any], sound: Path) -> None:
    record = read_history(sound).record()
    trials = (*record.trials[:-1], record.trials[-1].model_copy(update={"params": params}))
    with pytest.raises(UserError, match=r"trial 007 in the journal .* is no point of its space"):
        extended(record.model_copy(update={"trials": trials}), sound, Extension())


def test_a_sound_one_is_read_and_goes_on(sound: Path) -> None:
    """None of the above would notice that nothing works."""
    with copied(sound) as folder:
        for arguments in LOOKS:
            assert tuner(*arguments).code == 0
        go_on(folder)
        record = read_history(folder).record()
        assert record.state == "completed" and len(record.trials) == 10
        assert not (folder / "trials" / "0007").exists()
