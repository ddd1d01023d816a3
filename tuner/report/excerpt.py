"""Excerpts of long studies: the trials that tables and figures show one by one."""

from __future__ import annotations

from tuner.journal.records import StudyRecord, TrialRecord
from tuner.report.leaderboard import ordered

MOST = 500
"""The most trials that a table or figure shows one by one; a page of more is slow to open."""
CSV = "leaderboard.csv"
"""The file that has all trials."""


def first(study: StudyRecord) -> list[TrialRecord]:
    """Return the first trials of the leaderboard, or of a design's plan."""
    return ordered(study)[:MOST]


def spread(study: StudyRecord) -> list[TrialRecord]:
    """Return trials that stand for all, by number: the first half of `first`, and of the rest some.

    These are as far apart in the leaderboard as they can be, so all kinds of trial are among them.
    """
    trials = ordered(study)
    if len(trials) > MOST:
        best, rest = trials[: MOST // 2], trials[MOST // 2 :]
        count = MOST - len(best)
        trials = best + [rest[place * (len(rest) - 1) // (count - 1)] for place in range(count)]
    return sorted(trials, key=lambda trial: trial.number)


def first_of(study: StudyRecord) -> str:
    """Return the sentence about `first`, after a space; empty if it leaves no trial out."""
    return _about(study, f"These are the first {MOST}")


def spread_of(study: StudyRecord) -> str:
    """Return the sentence about `spread`, after a space; empty if it leaves no trial out."""
    return _about(study, f"These are the {MOST // 2} best and {MOST - MOST // 2} others")


def _about(study: StudyRecord, these: str) -> str:
    if len(study.trials) <= MOST:
        return ""
    return f" {these} of {len(study.trials):,} trials; {CSV} has all."
