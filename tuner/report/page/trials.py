"""Tables of trials: the leaderboard, the plan of a design, and the commands that replay trials."""

from __future__ import annotations

from collections.abc import Callable

from tuner.blocks import Grid
from tuner.invocation import lasting_command
from tuner.journal.records import Origin, StudyRecord, TrialRecord
from tuner.report import excerpt
from tuner.report.leaderboard import percent, shown, varied
from tuner.storage.folders import Place
from tuner.wording import count

FIRST = 12
"""Number of trials that are always visible; the others are folded."""
ORIGINS: dict[Origin, str] = {
    "baseline": "control",
    "sampler": "search",
    "enqueued": "search, enqueued",
    "added": "search, added by hand",
    "tuning": "chooses a learning rate",
    "design": "is compared",
}
WHOSE: dict[Origin, str] = {
    "baseline": " control",
    "sampler": "",
    "enqueued": " enqueued",
    "added": " added by hand",
    "tuning": "",
    "design": "",
}
"""The words after a trial's number in tables."""
DIGITS = 12
"""Digits of a checksum that are shown."""
COLUMNS: dict[str, Callable[[TrialRecord], str]] = {
    "state": lambda trial: "stopped by hand" if trial.stopped_by_hand else trial.state,
    "score, %": lambda trial: percent(trial.last.objective) if trial.last else "–",
    "pairs": lambda trial: f"{trial.last.rung:,}" if trial.last else "–",
}
"""Columns of the leaderboard, and of a design's plan, between a trial's name and its settings."""


def leaderboard(study: StudyRecord) -> Grid:
    """Return the leaderboard; most of a long one is folded."""
    names, trials = varied(study), excerpt.first(study)
    rows = tuple(
        (
            name(trial),
            *(column(trial) for column in COLUMNS.values()),
            *(shown(trial.config.value(setting)) for setting in names),
        )
        for trial in trials
    )
    return Grid(
        f"Score: {study.facts.objective}, unconfirmed. Trials at full budget come first, ranked; "
        f"scores at fewer pairs are not ranked against them.{excerpt.first_of(study)}",
        study.claim,
        ("trial", *COLUMNS, *names),
        rows,
        left=2,
        strong=frozenset([0] if study.best else []),  # of a search, the first one is the best
        folded=_others(len(rows) - FIRST),
        first=FIRST,
    )


def planned(study: StudyRecord, first: int = 0) -> Grid:
    """Return the trials of a design, in the order of its plan.

    Args:
        study: the record of a design.
        first: number of trials that are always visible.
    """
    names = list(dict.fromkeys(setting for trial in study.trials for setting in trial.params))
    rows = tuple(
        (
            name(trial),
            trial.arm or ORIGINS[trial.origin],
            *(column(trial) for column in COLUMNS.values()),
            *(shown(trial.params.get(setting)) for setting in names),
        )
        for trial in excerpt.first(study)
    )
    return Grid(
        f"All started trials of the plan, not ranked. Score: {study.facts.objective}."
        f"{excerpt.first_of(study)}",
        study.claim,
        ("trial", "purpose", *COLUMNS, *names),
        rows,
        left=3,
        folded=_others(len(rows) - first) if first else count(len(rows), "trial"),
        first=first,
    )


def _others(how_many: int) -> str:
    """Return the label of folded trials; empty if no trial is folded."""
    return count(how_many, "more trial") if how_many > 0 else ""


def again(study: StudyRecord, folder: Place) -> Grid:
    """Return the command that trains each trial again, with all that its scores depend on."""
    rows = tuple(
        (
            name(trial),
            f"{lasting_command('replay', folder)} {trial.number}",
            str(trial.config.seed),
            f"{trial.last.rung:,}",
            trial.last.precision,
            str(trial.last.workers),
            plan(trial),
        )
        for trial in sorted(excerpt.first(study), key=lambda each: each.number)
        if trial.last
    )
    return Grid(
        "What trains each line again from the study's folder alone, and says whether the scores "
        "agree. Micro-batches: pairs of a forward pass, and from which step on."
        f"{excerpt.first_of(study)}",
        study.claim,
        ("trial", "command", "seed", "pairs", "precision", "workers", "micro-batches"),
        rows,
        left=2,
        folded=f"a command for each of {len(rows)} trials",
    )


def name(trial: TrialRecord) -> str:
    """Return a trial's name in tables: its number, and whose it is if it is not the sampler's."""
    return f"{trial.number:03d}{WHOSE[trial.origin]}"


def plan(trial: TrialRecord) -> str:
    """Return a trial's micro-batch plan: `32`, or `32, 16 from step 40` where it was halved."""
    assert trial.last is not None
    first, *halved = trial.last.micro_plan
    return ", ".join([str(first[1]), *(f"{size} from step {step:,}" for step, size in halved)])
