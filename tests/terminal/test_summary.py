"""A study at a glance, rendered from hand-made records."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.confirm.searches import journal_of, searched
from tests.records import with_settings
from tuner.confirm.design import confirmation
from tuner.journal.digest import Digest
from tuner.journal.events import Progressed
from tuner.journal.journal import read_history
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.search.driver import Driver
from tuner.study.space import Space
from tuner.terminal.summary import Summary, TrialActivity, settings_in_short

Trial = Callable[..., TrialRecord]
BEATS = {5: TrialActivity(2304, "training"), 6: TrialActivity(1600, "evaluating")}


def summary(
    study: StudyRecord, beats: Mapping[int, TrialActivity] = BEATS, **settings: Any
) -> Summary:
    """At work, 11 minutes in, 24 trials."""
    defaults = {
        "state": "running",
        "working": True,
        "trials": 24,
        "seconds": 672.0,
        "now": 700.0,
        "heartbeats": beats,
    }
    return Summary(study=Digest.of(study), **{**defaults, **settings})


def lines(shown: Summary, width: int = 80, height: int = 24, **settings: Any) -> list[str]:
    """Return the lines as a terminal of that size has them."""
    console = Console(
        width=width, height=height, file=io.StringIO(), force_interactive=True, **settings
    )
    console.print(shown)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_what_it_says(study: StudyRecord) -> None:
    text = "\n".join(lines(summary(study)))
    head, ended, states, _, best, settings, claim, _, _, *rungs = lines(summary(study))
    assert head.startswith("nano: running") and head.endswith("0:11:12, about 0:19:25 left")
    assert ended.endswith("5 of 24 trials ended")
    assert " ".join(states.split()) == "running 2 waiting 17 completed 2 pruned 2 failed 1"
    assert best == "best so far (unconfirmed): trial 004, 93.27% mean dev accuracy on en, de, fr"
    assert settings.strip() == "cross_lingual=0.25, lr=0.0005, kind=dlfa, layer=2"
    assert claim == study.facts.claim
    assert [line.split() for line in rungs[:3]] == [
        ["1,600", "5", "1", "82.00%"],
        ["4,800", "3", "1", "90.00%"],
        ["9,600", "2", "–", "93.27%"],
    ]
    assert "005 training" in text and "2,304 of 9,600 pairs" in text and "006 evaluating" in text


def test_time_left_is_that_of_trials_that_ended(study: StudyRecord) -> None:
    """180, 60, 120 and 180 s at one go, 135 in the mean; two run, for 200 and 100 s so far."""
    assert summary(study).seconds_left == pytest.approx((0 + 35 + 17 * 135) / 2)
    restarted = study.trials[0].model_copy(update={"attempts": 2, "ended": 590.0})
    others = study.model_copy(update={"trials": (restarted, *study.trials[1:])})
    assert summary(others).seconds_left == pytest.approx((20 + 17 * 120) / 2)
    between = study.model_copy(update={"trials": study.trials[:5]})
    late = summary(between, trials=20)
    assert late.seconds_left == 15 * 135 / 2, (
        "none runs for a moment: as many as when the last began"
    )
    assert summary(study, trials=7).seconds_left == 35, "the last two end side by side"
    assert summary(study, working=False).seconds_left is None
    nothing = study.model_copy(update={"trials": study.trials[5:]})
    assert summary(nothing).seconds_left is None


def test_paused_trials_have_not_ended(study: StudyRecord, trial: Trial) -> None:
    """They may go on, so they count apart; how many do is not known, and so is the time left."""
    paused = tuple(trial(7 + number, "paused", 0.7) for number in range(3))
    promoting = with_settings(study, scheduler={"variant": "promotion"})
    shown = summary(promoting.model_copy(update={"trials": (*study.trials, *paused)}), trials=10)
    assert (shown.ended, shown.paused) == (5, 3) and shown.counts()["waiting"] == 0
    assert "5 of 10 trials ended" in "\n".join(lines(shown))
    assert shown.seconds_left is None


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("working", [True, False])
def test_no_line_is_too_long_or_cut_in_two(study: StudyRecord, width: int, working: bool) -> None:
    shown = lines(summary(study, working=working), width)
    assert max(map(cell_len, shown)) <= min(width, 100)
    assert not any(line.split()[:1] in (["2"], ["17"], ["1"]) for line in shown), "a count alone"
    text = " ".join(" ".join(shown).split())
    for state in ("waiting 17", "completed 2", "pruned 2", "failed 1", study.facts.claim):
        assert state in text
    assert ("running" if working else "interrupted") + " 2" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_its_height_is_the_same_from_beginning_to_end(
    study: StudyRecord, trial: Trial, width: int
) -> None:
    """Whatever has happened so far: trials, scores, how many run, what is said about time."""
    heights = set()
    for n in range(len(study.trials) + 1):
        so_far = study.model_copy(update={"trials": study.trials[:n]})
        heights.add(len(lines(summary(so_far, running_rows=2), width)))
    done = tuple(trial(n, "completed", 0.5, 0.6, 0.7) for n in range(24))
    whole = study.model_copy(update={"trials": done})
    heights.add(len(lines(summary(whole, running_rows=2, seconds=1e6), width)))
    assert len(heights) == 1


def test_many_running_trials_are_cut_to_what_there_is_room_for(
    study: StudyRecord, trial: Trial
) -> None:
    many = study.model_copy(update={"trials": tuple(trial(n, "running") for n in range(20))})
    shown = lines(summary(many, {}, running_rows=20), height=40)
    assert shown[-2].startswith("007") and shown[-1] == "… and 12 more"
    for height in (20, 24, 30):
        shown = lines(summary(many, {}, running_rows=20), height=height)
        assert len(shown) <= height - 1 and "more" in shown[-1]


def test_without_heartbeats_the_journal_says_how_far_trials_are(study: StudyRecord) -> None:
    """Also where a trial has one rung alone, as each of a confirmation has."""
    running = [line for line in lines(summary(study, {})) if line[:3] in ("005", "006")]
    assert running[0].startswith("005 for 0:03:20") and "past 1,600 of 9,600" in running[0]
    assert running[1].startswith("006 for 0:01:40") and " 0 of 9,600" in running[1]
    trials = [*study.trials[:-1], study.trials[-1].model_copy(update={"pairs_seen": 3264})]
    on_its_way = study.model_copy(update={"trials": tuple(trials)})
    (row,) = (line for line in lines(summary(on_its_way, {})) if line.startswith("006"))
    assert "past 3,264 of 9,600" in row and "━━━" in row


def test_the_bars_of_a_confirmation_follow_its_journal(tmp_path: Path) -> None:
    """Its trials are evaluated at their end alone: what is heard in between moves the bar."""
    search = searched(tmp_path)
    made = confirmation(search, tmp_path / "small", 1, (2, 2))
    with journal_of(made, search) as journal:
        driver = Driver(made, journal)
        driver.start()
        for number in range(3):
            trial = driver.next_trial()
            assert trial is not None and trial.number == number
            driver.trial_started(number)
        driver.note(Progressed(time=2.0, pairs_seen={0: 600, 1: 300}))
        shown = lines(summary(read_history(made.folder).record(), {}, trials=4))
    rows = [line for line in shown if line[:3] in ("000", "001", "002")]
    for row, seen in zip(rows, ("past 600", "past 300", " 0"), strict=True):
        assert f"{seen} of 800 pairs" in row
    bars = [row.count("━") for row in rows]
    assert bars[0] > 10 and abs(bars[0] - 2 * bars[1]) <= 1 and bars[2] == 0


def test_what_a_killed_driver_left_is_interrupted(study: StudyRecord) -> None:
    text = "\n".join(lines(summary(study, {}, state="driver died", working=False)))
    assert "nano: driver died" in text and "interrupted  2" in text
    assert "running" not in text and "left" not in text and "so far" not in text


def test_without_colour_and_in_a_log(study: StudyRecord) -> None:
    plain = io.StringIO()
    Console(file=plain, width=80).print(summary(study))
    assert "\x1b" not in plain.getvalue()
    quiet = io.StringIO()
    Console(file=quiet, width=80, force_terminal=True, no_color=True).print(summary(study))
    assert "\x1b[3" not in quiet.getvalue() and "38;" not in quiet.getvalue()


def test_settings_in_short_are_unambiguous(study: StudyRecord, trial: Trial) -> None:
    """The last part of a name, where only one ends so; what does not apply is left out."""
    names = ("fusion.kind", "mix.kind", "fusion.layer", "optim.lr")
    space = Space.model_construct(dict.fromkeys(names))  # no setting is named mix.kind
    other = study.settings.model_copy(update={"space": space})
    record = trial(0, "running")
    flat = record.config.flat() | {"mix.kind": "x"}

    class Config:
        def flat(self) -> dict[str, Any]:
            return flat

    record = record.model_copy(update={"config": Config(), "origin": "baseline"})
    said = settings_in_short(record, other)
    assert said == "the baseline, fusion.kind=last, mix.kind=x, lr=0.0001"
