"""A confirmation in the terminal: its arms with their intervals, and the conclusion in words."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.confirm.result import COMPARED, DEV, Confirmed
from tuner.confirm.sentences import points, sentences, settings_in_words
from tuner.shown import printable
from tuner.statistics.variance import Estimate


def show(result: Confirmed, console: Console) -> None:
    """Print the arms, the line of the most frequent label, and what is concluded."""
    console.print(f"{result.name}: accuracy in %, ± half of the 95 % interval", highlight=False)
    console.print(_table(result))
    notes = ["* recommended, before test was read"]
    if result.tied(DEV):
        notes.append("= may be the best, where it stands (Hsu's comparison, 95 %)")
    groups = [group for group in COMPARED if group in result.groups]
    majority = [f"{100 * result.majority:.2f} on dev"]
    for group in groups:
        shares = [result.test_majority.get(language) for language in result.groups[group]]
        if known := [share for share in shares if share is not None]:
            majority.append(f"{100 * sum(known) / len(known):.2f} on test's {group}")
    notes.append(f"always giving the most frequent label: {', '.join(majority)}")
    for arm in result.arms:
        notes.append(f"{arm.name}: {settings_in_words(arm.settings)}")
    said = [printable(line) for line in (*notes, "", *sentences(result))]
    console.print("\n".join(said), highlight=False, markup=False)


def _table(result: Confirmed) -> Table:
    groups = [group for group in COMPARED if group in result.groups]
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("", no_wrap=True)
    dev = f"dev {result.compared_on}" if result.worst else "dev"
    for name in ("seeds", "search", dev, *(f"test {group}" for group in groups)):
        grid.add_column(name, justify="right", no_wrap=True)
    if any(arm.against_control for arm in result.arms):
        for group in groups:
            grid.add_column(f"{group} − control", justify="right", no_wrap=True)
    for arm in result.arms:
        cells = [
            f"{len(arm.objectives)}" + (f", {len(arm.collapsed)} collapsed" * bool(arm.collapsed)),
            "–" if arm.search_score is None else f"{100 * arm.search_score:.2f}",
            _shown(arm.dev, DEV in arm.from_best and arm.from_best[DEV].tied),
        ]
        for group in groups:
            tied = group in arm.from_best and arm.from_best[group].tied
            cells.append(_shown(arm.test.get(group), tied))
        for group in groups:
            found = arm.against_control.get(group)
            if found is None:
                cells.append("–")
                continue
            half = 100 * (found.estimate.high - found.estimate.low) / 2
            cells.append(f"{points(found.estimate.value)} ±{half:.2f}")
        mark = "*" if arm.name == result.recommended else ""
        grid.add_row(f"{arm.name}{mark}", *cells[: len(grid.columns) - 1])
    return grid


def _shown(found: Estimate | None, tied: bool) -> str:
    if found is None:
        return "–"
    return f"{'=' if tied else ''}{100 * found.value:.2f} ±{50 * (found.high - found.low):.2f}"
