"""A confirmation in the terminal: its arms with their intervals, and the conclusion in words."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.confirm.result import COMPARED, DEV, Confirmed
from tuner.confirm.sentences import difference, sentences, settings_in_words
from tuner.shown import printable
from tuner.statistics.variance import Estimate

WIDE = 100
"""Least width in columns of a console that shows the difference on the second mean, too."""


def show(result: Confirmed, console: Console) -> None:
    """Print the arms, the score of the most frequent label, and the conclusion."""
    console.print(f"{result.name}: accuracy in %, ± half of the 95 % interval", highlight=False)
    console.print(_table(result, console.width >= WIDE))
    notes = ["* recommended before test was read"] if len(result.arms) > 1 else []
    if result.worst:
        lowest = ", ".join(f"{arm.dev_set} of {arm.name}" for arm in result.arms if arm.dev)
        notes.append(f"dev: the language with the lowest mean over seeds: {lowest}")
    if result.tied(DEV):
        notes.append("= may be the best on that set (Hsu's comparison, 95 %)")
    groups = [group for group in COMPARED if group in result.groups]
    majority = [f"{100 * result.majority:.2f} on dev"]
    for group in groups:
        shares = [result.test_majority.get(language) for language in result.groups[group]]
        if known := [share for share in shares if share is not None]:
            majority.append(f"{100 * sum(known) / len(known):.2f} on test {group}")
    notes.append(f"always giving the most frequent label: {', '.join(majority)}")
    for arm in result.arms:
        notes.append(f"{arm.name}: {settings_in_words(arm.settings)}")
    said = [printable(line) for line in (*notes, "", *sentences(result))]
    console.print("\n".join(said), highlight=False, markup=False)


def _table(result: Confirmed, wide: bool) -> Table:
    groups = [group for group in COMPARED if group in result.groups]
    against = groups if any(arm.against_control for arm in result.arms) else []
    against = against if wide else against[:1]
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("", no_wrap=True)
    tests = [f"test\n{group}" for group in groups]
    minus = [f"{group}\n− control" for group in against]
    for name in ("seeds", "search", "dev", *tests, *minus):
        grid.add_column(name, justify="right", no_wrap=True)
    for arm in result.arms:
        cells = [
            str(len(arm.objectives)),
            "–" if arm.search_score is None else f"{100 * arm.search_score:.2f}",
            _shown(arm.dev, DEV in arm.from_best and arm.from_best[DEV].tied),
        ]
        for group in groups:
            tied = group in arm.from_best and arm.from_best[group].tied
            cells.append(_shown(arm.test.get(group), tied))
        for group in against:
            found = arm.against_control.get(group)
            if found is None:
                cells.append("–")
                continue
            half = 100 * (found.estimate.high - found.estimate.low) / 2
            cells.append(f"{difference(found)} ±{half:.2f}")
        mark = "*" if arm.name == result.recommended and len(result.arms) > 1 else ""
        grid.add_row(f"{arm.name}{mark}", *cells)
    return grid


def _shown(found: Estimate | None, tied: bool) -> str:
    if found is None:
        return "–"
    return f"{'=' if tied else ''}{100 * found.value:.2f} ±{50 * (found.high - found.low):.2f}"
