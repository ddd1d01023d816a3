"""A comparison in the terminal: both sides, their differences, and what the differences show."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.report.compare import Comparison, Row
from tuner.report.leaderboard import percent, shown
from tuner.report.sides import Side
from tuner.terminal.progress import say
from tuner.wording import between, points


def show(found: Comparison, console: Console) -> None:
    """Print the settings that differ, the scores, and the sentences about them."""
    for letter, side in (("A", found.a), ("B", found.b)):
        seeds = ", ".join(map(str, side.seeds))
        say(
            console, f"{letter}: {side.what} ({'seeds' if len(side.seeds) > 1 else 'seed'} {seeds})"
        )
    console.print()
    if found.settings:
        console.print(_settings(found))
    else:
        console.print("all settings but the seeds are the same")
    console.print()
    console.print(_scores(found))
    console.print()
    for line in sentences(found):
        say(console, line)


def sentences(found: Comparison) -> tuple[str, ...]:
    """Return the verdict of the first row, what its interval accounts for, and caveats."""
    told = [_verdict(found), _accounted(found)]
    if len(found.rows) > 1:
        told.append(
            f"Each of the {len(found.rows)} intervals is for itself: of many, some miss by chance."
        )
    for letter, side in (("A", found.a), ("B", found.b)):
        if side.chosen:
            told.append(f"{letter} is {side.chosen}.")
    if any(row.name.startswith("oracle/") for row in found.rows):
        told.append(
            "oracle/… is for the record only: a choice between the two by it is no longer "
            "zero-shot."
        )
    if found.alone:
        told.append(f"Not compared, because only one of them has it: {', '.join(found.alone)}.")
    told += _protocols(found.a, found.b)
    return tuple(told)


def _verdict(found: Comparison) -> str:
    row = found.rows[0]
    difference = row.difference.value
    told = f"On {row.name}, B - A is {points(100 * difference)} percentage points"
    if row.difference.error == 0:
        return (
            f"{told}, the same in every group of pairs that share sentences, so no interval can be "
            "estimated."
        )
    if row.difference.low <= 0 <= row.difference.high:
        what = "no significant difference"
    else:
        what = f"{'B' if difference > 0 else 'A'} is significantly better"
        what += "" if found.seeds else ", as trained here"
    return f"{told} (95 % CI {_interval(row)}): {what}."


def _accounted(found: Comparison) -> str:
    if not found.seeds:
        of = " The scores of a side with several seeds are their means." * (
            max(len(found.a.seeds), len(found.b.seeds)) > 1
        )
        return (
            "Intervals account for items only, grouped by shared sentences. They do not account "
            f"for seeds: with another seed the difference would be another one.{of}"
        )
    if all(a == b for a, b in found.seeds):
        pairs = f"paired by seed: {', '.join(str(a) for a, _ in found.seeds)}"
    else:
        pairs = "with different seeds, paired in their order: " + ", ".join(
            f"{a} with {b}" for a, b in found.seeds
        )
    return (
        f"Intervals account for seeds and sentences: {len(found.seeds)} seeds crossed with groups "
        f"of pairs that share sentences, {pairs}."
    )


def _protocols(a: Side, b: Side) -> tuple[str, ...]:
    """Return the claims, and how the protocols differ if they do."""
    facts = [side.record.facts for side in (a, b)]
    if a.protocol == b.protocol:
        return (f"Claim of both: {facts[0].claim}",)
    told = []
    if facts[0].objective != facts[1].objective:
        told.append(
            f"Their protocols differ: the objective of A is {facts[0].objective}, that of B is "
            f"{facts[1].objective}."
        )
    else:
        told.append("Their protocols differ, and so do their claims.")
    return (*told, f"Claim of A: {facts[0].claim}", f"Claim of B: {facts[1].claim}")


def _settings(found: Comparison) -> Table:
    grid = _grid("settings that differ", "A", "B")
    for name, a, b in found.settings:
        grid.add_row(name, _shown(a), _shown(b))
    return grid


def _scores(found: Comparison) -> Table:
    grid = _grid("dev accuracy, %", "A", "B", "B - A", "95 % CI")
    for row in found.rows:
        scores = (percent(row.a), percent(row.b), points(100 * row.difference.value))
        grid.add_row(row.name, *scores, _interval(row))
    return grid


def _interval(row: Row) -> str:
    if row.difference.error == 0:
        return "–"
    return between(100 * row.difference.low, 100 * row.difference.high)


def _grid(title: str, *columns: str) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(title)
    for column in columns:
        grid.add_column(column, justify="right")
    return grid


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return shown(value)
