"""A replay in the terminal: the objective at every rung, the numbers that differ, the verdict."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tuner.journal.records import OBJECTIVE, is_share
from tuner.run.replay import Replay
from tuner.terminal.progress import say


def show(found: Replay, console: Console) -> None:
    """Print the objective at every rung, the largest differences, and the verdict."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("pairs", "recorded %", "replayed %", "numbers that differ"):
        grid.add_column(column, justify="right")
    for rung in dict.fromkeys(number.rung for number in found.numbers):
        here = [number for number in found.numbers if number.rung == rung]
        score = next(number for number in here if number.metric == OBJECTIVE)
        differing = sum(not number.agrees for number in here)
        grid.add_row(
            f"{rung:,}",
            *(_percent(value) for value in (score.recorded, score.replayed)),
            f"{differing} of {len(here)}",
        )
    console.print(f"trial {found.trial:03d} of {found.study}: {found.objective}", highlight=False)
    console.print(grid)
    for line in sentences(found):
        say(console, line)
    say(console, found.claim)


def sentences(found: Replay) -> tuple[str, ...]:
    """Return the verdict, the largest differences, and the known differences of circumstances."""
    told = []
    if found.pairs < found.budget:
        told.append(f"trained to {found.pairs:,} of {found.budget:,} pairs, as the trial was.")
    answered = sum(found.answers.values())
    if found.agrees:
        answers = ", and so do all answers on dev" if found.answers else ""
        told.append(f"all {len(found.numbers)} numbers agree bit for bit{answers}.")
    else:
        told.append(f"{len(found.differing)} of {len(found.numbers)} numbers differ.")
        shares = [number for number in found.differing if is_share(number.metric)]
        losses = [number for number in found.differing if not is_share(number.metric)]
        for numbers, scale, unit in ((shares, 100, " percentage points"), (losses, 1, "")):
            if numbers:
                most = max(numbers, key=lambda number: number.distance)
                told.append(
                    f"{most.metric} differs most: by {scale * most.distance:.3g}{unit} at "
                    f"{most.rung:,} pairs."
                )
        if found.answers:
            told.append(f"{answered:,} answers on dev differ at the full budget.")
    changed = "; ".join(f"{name} {was}, now {is_}" for name, was, is_ in found.elsewhere)
    told.append(f"known to differ: {changed}." if changed else "nothing is known to differ.")
    return tuple(told)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
