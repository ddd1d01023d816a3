"""The leaderboard of a study, as a table and as CSV, and its best trial in words.

Scores at different budgets are never ranked against each other. Metrics that may not choose
(`oracle/…`) appear in the CSV only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tuner.journal.records import Origin, StudyRecord, TrialRecord, TrialState
from tuner.shown import printable
from tuner.tracking.notes import NOTHING_LEARNT

WIDE = 140
"""Least width in columns of a console that shows the names of settings on one line."""
FORMULA = ("=", "+", "-", "@", "\t")
"""Characters that begin a formula in a spreadsheet."""
MARKS: Mapping[Origin, str] = {"baseline": "*", "tuning": "~", "sampler": "", "design": ""}
"""The mark after a trial's number, by the trial's origin."""
_ORDER: Mapping[TrialState, int] = {
    "running": 0,
    "pending": 1,
    "interrupted": 2,
    "pruned": 3,
    "failed": 4,
    "completed": 5,
}


def ordered(study: StudyRecord) -> list[TrialRecord]:
    """Return ranked trials, then the others by state, rung (further first) and score.

    The trials of a design stay in the order of its plan.
    """
    if study.designed:
        return list(study.trials)
    ranked = study.ranked()
    others = [trial for trial in study.trials if trial not in ranked]
    return ranked + sorted(
        others,
        key=lambda t: (
            _ORDER[t.state],
            *((-t.last.rung, -t.last.objective) if t.last else (0, 0.0)),
            t.number,
        ),
    )


def varied(study: StudyRecord) -> list[str]:
    """Return dotted names of the settings in which trials differ, in the order of the space."""
    names = study.settings.space.root
    return [name for name in names if len({shown(_value(t, name)) for t in study.trials}) > 1]


def show(study: StudyRecord, console: Console, limit: int | None = None) -> None:
    """Print at most `limit` rows of the leaderboard, and the best configuration found."""
    how = "as planned, not ranked" if study.designed else "unconfirmed"
    title = f"{study.name}, {how}: {study.facts.objective}, in %"
    console.print(title, highlight=False)
    console.print(_table(study, limit, wide=console.width >= WIDE))
    notes = []
    if limit is not None and len(study.trials) > limit:
        notes.append(f"… and {len(study.trials) - limit} more trials")
    if any(trial.origin == "baseline" for trial in study.trials):
        notes.append("* the baseline")
    if any(trial.origin == "tuning" for trial in study.trials):
        notes.append("~ chooses a learning rate, and is not compared")
    notes.append(f"always giving the most frequent label: {percent(study.facts.majority_accuracy)}")
    notes.append(study.facts.claim)
    console.print("\n".join([*notes, "", *best_in_words(study)]), highlight=False)


def _table(study: StudyRecord, limit: int | None, wide: bool) -> Table:
    names = varied(study)
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("trial", no_wrap=True)
    grid.add_column("score", justify="right", no_wrap=True)
    grid.add_column("pairs", justify="right", no_wrap=True)
    grid.add_column("state", no_wrap=True)
    for name in names:  # a narrow console gets one word a line
        header = name if wide else name.replace(".", ".\n").replace("_", "_\n")
        grid.add_column(header, justify="right", no_wrap=True)
    for trial in ordered(study)[:limit]:
        last = trial.last
        grid.add_row(
            f"{trial.number:03d}" + MARKS[trial.origin],
            percent(last.objective) if last else "–",
            f"{last.rung:,}" if last else "–",
            trial.state,
            *(shown(_value(trial, name)) for name in names),
        )
    return grid


def best_in_words(study: StudyRecord) -> list[str]:
    """Describe the best configuration found, labelled as unconfirmed."""
    if study.designed:
        return ["a design has no best trial: it compares configurations over seeds"]
    best = study.best
    if best is None or best.last is None:
        return ["no trial has reached the full budget"]
    score = best.last.objective
    lines = [
        f"best configuration found (unconfirmed): trial {best.number:03d}",
        f"  {study.facts.objective}: {percent(score)} %",
        "  the best of many noisy scores is biased upwards: not yet a result",
    ]
    if not study.learnt:
        lines.append(f"  {NOTHING_LEARNT}")
    told = best.params if best.origin == "sampler" else {n: _value(best, n) for n in varied(study)}
    lines += [f"  {n}: {shown(value)}" for n, value in told.items() if value is not None]
    return lines


def as_csv(study: StudyRecord) -> str:
    """Return a CSV with a row for each trial, all settings and metrics, in leaderboard order."""
    rows: list[dict[str, Any]] = []
    ranks = {trial.number: rank for rank, trial in enumerate(study.ranked(), start=1)}
    for trial in ordered(study):
        last = trial.last
        rows.append(
            {
                "rank": ranks.get(trial.number, ""),
                "trial": trial.number,
                "origin": trial.origin,
                "state": trial.state,
                "reason": trial.reason,
                "attempts": trial.attempts,
                "rung": last.rung if last else "",
                "pairs_seen": last.pairs_seen if last else "",
                **trial.config.flat(),
                **(last.metrics() if last else {}),
                "claim": study.facts.claim,
            }
        )
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "claim"))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, "claim"], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Quote a text that a spreadsheet would read as a formula; return other values unchanged."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def percent(share: float) -> str:
    """Format a share of 1 as a percentage, without the % sign."""
    return f"{100 * share:.2f}"


def _value(trial: TrialRecord, name: str) -> Any:
    return trial.config.flat()[name]


def shown(value: Any) -> str:
    """Format the value of a setting for a table."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
