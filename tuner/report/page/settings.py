"""Figures of a search's scores by setting: scatter plots, a heat map, parallel coordinates.

Only complete trials have comparable scores, and ASHA chose which trials are complete. So the
figures show how many of all trials are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from tuner.blocks import Block, Figure, Grid, SideBySide, Words
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.report import excerpt
from tuner.report.leaderboard import percent, varied
from tuner.report.page.drawing.heat import heat
from tuner.report.page.drawing.parallel import Path, Upright, parallel
from tuner.report.page.drawing.scatter import Dots, scatter
from tuner.report.page.levels import Levels, heights, setting_label
from tuner.report.seeds import SEED, selected

SIZE, MIX, LAYER, FUSION = (
    "batch.effective_size",
    "mix.cross_lingual",
    "fusion.layer",
    "fusion.kind",
)
SELECTED = (
    "ASHA chose which trials are complete: the others are not missing at random, and differences "
    "between complete trials are not effects of one setting alone."
)
CHOSEN = "Several settings differ between trials: differences are not effects of one setting alone."


def by_setting(study: StudyRecord) -> list[Block]:
    """Draw the settings that vary; return nothing if fewer than two trials are complete."""
    names = varied(study)
    if len(study.ranked()) < 2 or not names:
        return []
    figures = []
    if SIZE in names:
        figures.append(_scatter(study, SIZE, MIX if MIX in names else None))
    if LAYER in names:
        figures.append(_scatter(study, LAYER, FUSION if FUSION in names else None))
    if MIX in names and SIZE not in names:
        figures.append(_scatter(study, MIX, None))
    if SIZE in names and MIX in names:
        figures.append(_heat(study))
    why = SELECTED if selected(study) else CHOSEN
    return [
        Words(why, "warning"),
        *([SideBySide(tuple(figures))] if figures else []),
        _parallel(study),
    ]


def _scatter(study: StudyRecord, setting: str, told_apart: str | None) -> Figure:
    value = _reader(setting)
    levels = Levels.of(setting, [value(trial) for trial in study.trials])
    places = {trial.number: levels.place(value(trial)) for trial in study.trials}
    ticks = {}
    for place, label in enumerate(levels.labels):
        there = [trial for trial in study.trials if places[trial.number] == place]
        ticks[place] = f"{label}\n{_counted(there)}"
    series = [
        Dots(
            label,
            tuple(places[trial.number] for trial in trials),
            tuple(100 * trial.last.objective for trial in trials if trial.last),
        )
        for label, trials in _series(study, told_apart).items()
    ]
    claim, objective = study.claim, study.facts.objective
    apart = f", told apart by {setting_label(told_apart)}" if told_apart else ""
    alt = (
        f"Scores of {len(study.ranked())} complete trials against {setting_label(setting)}{apart}."
    )
    caption = (
        f"Complete trials by {setting_label(setting)}{apart}. Below each value: complete of all "
        "trials with it. Unconfirmed; the leaderboard has the numbers."
    )
    title = setting_label(told_apart) if told_apart else ""
    majority = 100 * study.facts.majority_accuracy
    draw = partial(scatter, series, ticks, setting_label(setting), title, majority, objective, alt)
    return Figure(draw, alt, caption, claim)


def _series(study: StudyRecord, setting: str | None) -> dict[str, list[TrialRecord]]:
    """Group complete trials by their value of a setting."""
    complete = study.ranked()
    if setting is None:
        return {"": complete}
    value = _reader(setting)
    levels = Levels.of(setting, [value(trial) for trial in study.trials])
    return {
        label: [trial for trial in complete if levels.place(value(trial)) == place]
        for place, label in enumerate(levels.labels)
    }


def _heat(study: StudyRecord) -> Figure:
    mix, size = _reader(MIX), _reader(SIZE)
    rows = Levels.of(MIX, [mix(trial) for trial in study.trials])
    columns = Levels.of(SIZE, [size(trial) for trial in study.trials])
    cells: dict[tuple[int, int], list[TrialRecord]] = {}
    for trial in study.trials:
        key = rows.place(mix(trial)), columns.place(size(trial))
        cells.setdefault(key, []).append(trial)
    means = {key: fmean(scores) for key, there in cells.items() if (scores := _scores(there))}
    numbers = tuple(
        (
            rows.labels[row],
            columns.labels[column],
            percent(means[row, column]) if (row, column) in means else "–",
            str(len(_scores(there))),
            str(len(there)),
        )
        for (row, column), there in sorted(cells.items())
    )
    claim = study.claim
    down, across = setting_label(MIX), setting_label(SIZE)
    alt = f"Heat map of mean scores of complete trials, {down} down, {across} across."
    caption = (
        f"{study.facts.objective}, in %, by {down} and {across}: the mean over the "
        "complete trials of each cell, and below it how many of all trials there these are. "
        "Unconfirmed."
    )
    grid = Grid(caption, claim, (MIX, SIZE, "mean, %", "complete", "all"), numbers, left=0)
    draw = partial(
        heat,
        rows.labels,
        columns.labels,
        {key: 100 * mean for key, mean in means.items()},
        {key: _counted(there) for key, there in cells.items()},
        across,
        down,
        alt,
    )
    return Figure(draw, alt, caption, claim, grid)


def _parallel(study: StudyRecord) -> Figure:
    names = [setting for setting in varied(study) if setting != SEED]
    trials, ranked = study.trials, study.ranked()
    uprights, columns = [], []
    for setting in names:
        value = _reader(setting)
        found, ticks = heights(setting, [value(trial) for trial in trials])
        uprights.append(Upright(setting, ticks))
        columns.append(found)
    scores = _scores(ranked)
    low, high = min(scores), max(scores)
    ends = {0.0: percent(low), 1.0: percent(high)} if high > low else {0.5: percent(low)}
    uprights.append(Upright("score, %", ends))
    ranks = {trial.number: place for place, trial in enumerate(reversed(ranked))}
    paths = []
    places = {trial.number: place for place, trial in enumerate(trials)}
    shown = excerpt.spread(study)
    for trial in shown:
        place = places[trial.number]
        found = [column[place] for column in columns]
        if trial.number not in ranks or trial.last is None:
            paths.append(Path(tuple(found), None))
            continue
        end = (trial.last.objective - low) / (high - low) if high > low else 0.5
        paths.append(Path((*found, end), ranks[trial.number] / max(len(ranked) - 1, 1)))
    alt = f"Parallel coordinates of {len(shown)} trials over {', '.join(names)} and the score."
    caption = (
        "Each line is a trial. Trials that are not at full budget have no score that compares "
        "and end before the last axis. Unconfirmed; the leaderboard has the numbers."
        f"{excerpt.spread_of(study)}"
    )
    draw = partial(parallel, uprights, paths, alt)
    return Figure(draw, alt, caption, study.claim, wide=True)


def _reader(setting: str) -> Callable[[TrialRecord], Any]:
    return lambda trial: trial.config.value(setting)


def _scores(trials: Sequence[TrialRecord]) -> list[float]:
    """Return the objectives of trials that reached the full budget."""
    return [trial.last.objective for trial in trials if trial.state == "completed" and trial.last]


def _counted(trials: Sequence[TrialRecord]) -> str:
    return f"{len(_scores(trials))} of {len(trials)}"
