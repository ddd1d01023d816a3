"""The leaderboard of a study: its order and the settings that it shows; the leaderboard as CSV.

Its table is in `report/page/trials.py`.

Scores at different budgets are never ranked against each other. Metrics that may not choose
(`oracle/…`) appear in the CSV only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from tuner.journal.records import StudyRecord, TrialRecord, TrialState
from tuner.shown import printable

FORMULA = ("=", "+", "-", "@", "\t")
"""Characters that begin a formula in a spreadsheet."""
_ORDER: Mapping[TrialState, int] = {
    "running": 0,
    "pending": 1,
    "interrupted": 2,
    "paused": 3,
    "pruned": 4,
    "failed": 5,
    "completed": 6,
}


def ordered(study: StudyRecord) -> list[TrialRecord]:
    """Return ranked trials, then the others by state, rung (further first) and score.

    The trials of a design stay in the order of its plan.
    """
    if study.designed:
        return list(study.trials)
    ranked = study.ranked()
    numbers = {trial.number for trial in ranked}
    others = [trial for trial in study.trials if trial.number not in numbers]
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


def as_csv(study: StudyRecord) -> str:
    """Return a CSV with a row for each trial, all settings and metrics, in leaderboard order."""
    rows: list[dict[str, Any]] = []
    ranks = {trial.number: rank for rank, trial in enumerate(study.ranked(), start=1)}
    claim = study.claim
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
                "claim": claim,
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
    return trial.config.value(name)


def shown(value: Any) -> str:
    """Format the value of a setting for a table."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
