"""Tables of trials: the leaderboard of a search, and how each line of it is made again."""

from __future__ import annotations

from tuner.invocation import lasting_command
from tuner.journal.records import Origin, StudyRecord, TrialRecord
from tuner.report.leaderboard import ordered, percent, shown, varied
from tuner.report.page.blocks import Grid
from tuner.storage.folders import Place
from tuner.wording import count

FIRST = 12
"""Trials that stand open; the others are folded."""
ORIGINS: dict[Origin, str] = {
    "baseline": "control",
    "sampler": "search",
    "tuning": "chooses a learning rate",
    "design": "is compared",
}
DIGITS = 12
"""Of a checksum or commit, as it is shown."""


def leaderboard(study: StudyRecord) -> tuple[Grid, ...]:
    """The leaderboard: its first lines, and the others where there are more."""
    names, trials = varied(study), ordered(study)
    best = study.best
    columns = ("trial", "state", "score, %", "pairs", *names)
    rows = tuple(
        (
            name(trial),
            trial.state,
            percent(trial.last.objective) if trial.last else "–",
            f"{trial.last.rung:,}" if trial.last else "–",
            *(shown(trial.config.flat()[setting]) for setting in names),
        )
        for trial in trials
    )
    caption = (
        f"Score: {study.facts['objective']}, unconfirmed. Trials at full budget come first, "
        "ranked; scores at fewer pairs are not ranked against them."
    )
    strong = frozenset([trials.index(best)] if best else [])  # the first: ranked ones lead
    claim = study.facts["claim"]
    grids = [Grid(caption, claim, columns, rows[:FIRST], left=2, strong=strong)]
    if others := rows[FIRST:]:
        told = count(len(others), "more trial")
        grids.append(Grid("The leaderboard goes on.", claim, columns, others, 2, folded=told))
    return tuple(grids)


def planned(study: StudyRecord) -> Grid:
    """The trials of a design, in the order of its plan."""
    names = list(dict.fromkeys(setting for trial in study.trials for setting in trial.params))
    rows = tuple(
        (
            name(trial),
            trial.arm or ORIGINS[trial.origin],
            trial.state,
            percent(trial.last.objective) if trial.last else "–",
            f"{trial.last.rung:,}" if trial.last else "–",
            *(shown(trial.params.get(setting)) for setting in names),
        )
        for trial in study.trials
    )
    return Grid(
        f"Every trial of the plan that was begun, not ranked. Score: {study.facts['objective']}.",
        study.facts["claim"],
        ("trial", "what for", "state", "score, %", "pairs", *names),
        rows,
        left=3,
        folded=f"{len(rows)} trials",
    )


def again(study: StudyRecord, folder: Place) -> Grid:
    """The command that trains each trial again, and what it needs to agree."""
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
        for trial in sorted(study.trials, key=lambda each: each.number)
        if trial.last
    )
    return Grid(
        "What trains each line again from the study's folder alone, and says whether the scores "
        "agree. Micro-batches: pairs of a forward pass, and from which step on.",
        study.facts["claim"],
        ("trial", "command", "seed", "pairs", "precision", "workers", "micro-batches"),
        rows,
        left=2,
        folded=f"a command for each of {len(rows)} trials",
    )


def name(trial: TrialRecord) -> str:
    """A trial as tables call it: its number, and whether it is the control."""
    return f"{trial.number:03d}" + (" control" if trial.origin == "baseline" else "")


def plan(trial: TrialRecord) -> str:
    """The micro-batch plan of a trial, as `32`, or `32, 16 from step 40` where it was halved."""
    assert trial.last is not None
    first, *halved = trial.last.micro_plan
    return ", ".join([str(first[1]), *(f"{size} from step {step:,}" for step, size in halved)])
