"""The section on criteria: what each permitted one would have chosen, and how they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tuner.blocks import Block, Figure, Grid, Section, Words
from tuner.journal.records import StudyRecord, TrialRecord
from tuner.report.leaderboard import percent
from tuner.report.page.drawing.front import front as draw_front
from tuner.report.page.trials import name
from tuner.search.choices import Choice, choices, front, in_words
from tuner.statistics.ranks import rank_correlation
from tuner.wording import listed

MOST_NAMED = 12
"""The most trials of a front that are named in words."""


def criteria(study: StudyRecord) -> Section | None:
    """Return the section of a search; None if its trials have but one criterion."""
    found = by_criterion(study)
    if len(found) < 2:
        return None
    blocks: list[Block] = [Words(in_words(found)), _table(study, found)]
    figure = _front(study)
    return Section("Criteria", (*blocks, figure) if figure else tuple(blocks))


def by_criterion(study: StudyRecord) -> tuple[Choice, ...]:
    """Return what each criterion would have chosen among the complete trials of a search."""
    candidates = {name(trial): trial.last.criteria for trial in study.ranked() if trial.last}
    return choices(candidates, study.settings.protocol.objective)


def _table(study: StudyRecord, found: Sequence[Choice]) -> Grid:
    objective = found[0].values
    rows = []
    for each in found:
        alike = rank_correlation(list(objective.values()), list(each.values.values()))
        rows.append(
            (
                each.criterion,
                each.chosen,
                percent(each.values[each.chosen]),
                percent(each.values[found[0].chosen]),
                "–" if alike is None else f"{alike:+.2f}",
            )
        )
    return Grid(
        "Every permitted criterion at the full budget: the trial with its highest value, that "
        f"value, its value for the chosen trial, {found[0].chosen}, and its rank correlation with "
        "the objective over complete trials. The first row chose; the others are for comparison.",
        study.claim,
        ("criterion", "its best trial", "value, %", "of the chosen, %", "rank correlation"),
        tuple(rows),
        left=2,
        strong=frozenset([0]),
    )


def _front(study: StudyRecord) -> Figure | None:
    """Return the figure of accuracy within and across languages; None if it was not evaluated."""
    points = {
        name(trial): at for trial in study.ranked() if (at := _within_and_across(trial)) is not None
    }
    if len(points) < 2 or study.best is None:
        return None
    on_front, best = front(points), name(study.best)
    named = listed(list(on_front[:MOST_NAMED]))
    more = len(on_front) - MOST_NAMED
    alt = (
        f"Accuracy within the source languages against accuracy across them, for {len(points)} "
        f"complete trials. On the Pareto front: {named}{f' and {more} more' if more > 0 else ''}."
    )
    axes = ("accuracy on the sources, %", "accuracy across sources, %")
    caption = (
        "Each dot is a complete trial. No trial is better by both scores than one on the front. "
        "Both are permitted dev; no target was read. Unconfirmed."
    )
    numbers = Grid(
        "The trials on the front, in %.",
        study.claim,
        ("trial", "sources", "across sources"),
        tuple((each, *(f"{value:.2f}" for value in points[each])) for each in on_front),
    )
    draw = partial(draw_front, points, on_front, best, axes, alt)
    return Figure(draw, alt, caption, study.claim, numbers)


def _within_and_across(trial: TrialRecord) -> tuple[float, float] | None:
    assert trial.last is not None
    within, across = trial.last.select.get("sources"), trial.last.criteria.get("cross_lingual")
    return (100 * within.accuracy, 100 * across) if within and across is not None else None
