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

from tests.records import facts
from tests.robustness.commands import examples, tree, tuner
from tests.robustness.conftest import NAME, copied
from tests.robustness.damage import DAMAGE, KINDS, PLACES, files, forge, put
from tests.robustness.examples import LOOKS, go_on
from tuner.errors import UserError
from tuner.journal.journal import FILE, read_history
from tuner.run.prepare import check_unchanged
from tuner.run.resume import Extension, extended
from tuner.training.checkpoint import MODEL, name_of

WRITTEN = ("figures", "leaderboard.csv", ".partial-leaderboard.csv")
"""`report` writes these, which takes a second; elsewhere two kinds of links alone get a report."""
FOUND = facts()


def look_and_go_on(folder: Path, looks: Sequence[Sequence[str]] = LOOKS) -> None:
    """Run commands that read or write the folder, one after the other."""
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
    """A terabyte of a complete trial's weights is not summed up."""
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
    with pytest.raises(UserError, match=r"trial 007 in the journal .* is outside the search space"):
        extended(record.model_copy(update={"trials": trials}), sound, Extension())


def test_a_sound_one_is_read_and_goes_on(sound: Path) -> None:
    """The tests above would not notice that nothing works."""
    with copied(sound) as folder:
        for arguments in LOOKS:
            assert tuner(*arguments).code == 0
        go_on(folder)
        record = read_history(folder).record()
        assert record.state == "completed" and len(record.trials) == 10
        assert not (folder / "trials" / "0007").exists()
