"""A replay as blocks: the objective at every rung, the numbers that differ, the verdict."""

from __future__ import annotations

from tuner.blocks import Block, Grid, Points, Words
from tuner.journal.records import OBJECTIVE, is_share
from tuner.run.replay import Replay


def verdict(found: Replay) -> list[Block]:
    """Return the objective at every rung, the verdict, and the largest differences."""
    rows = []
    for rung in dict.fromkeys(number.rung for number in found.numbers):
        here = [number for number in found.numbers if number.rung == rung]
        score = next(number for number in here if number.metric == OBJECTIVE)
        differing = sum(not number.agrees for number in here)
        scores = (_percent(value) for value in (score.recorded, score.replayed))
        rows.append((f"{rung:,}", *scores, f"{differing} of {len(here)}"))
    table = Grid(
        f"Trial {found.trial:03d} of {found.study}: {found.objective}.",
        found.claim,
        ("pairs", "recorded, %", "replayed, %", "numbers that differ"),
        tuple(rows),
        left=0,
    )
    first, *others = sentences(found)
    return [table, Words(first, "answer"), Points(tuple(others))]


def sentences(found: Replay) -> tuple[str, ...]:
    """Return the verdict, the largest differences, and the known differences in circumstances."""
    lines = []
    answered = sum(found.answers.values())
    if found.agrees:
        answers = ", and so do all answers on dev" if found.answers else ""
        lines.append(f"All {len(found.numbers)} numbers agree bit for bit{answers}.")
    else:
        lines.append(f"{len(found.differing)} of {len(found.numbers)} numbers differ.")
        shares = [number for number in found.differing if is_share(number.metric)]
        losses = [number for number in found.differing if not is_share(number.metric)]
        for numbers, scale, unit in ((shares, 100, " percentage points"), (losses, 1, "")):
            if numbers:
                most = max(numbers, key=lambda number: number.distance)
                lines.append(
                    f"{most.metric} differs most: by {scale * most.distance:.3g}{unit} at "
                    f"{most.rung:,} pairs."
                )
        if found.answers:
            lines.append(f"{answered:,} answers on dev differ at the full budget.")
    if found.pairs < found.budget:
        lines.append(f"It trained to {found.pairs:,} of {found.budget:,} pairs, as the trial did.")
    changed = "; ".join(f"{name} {was}, now {is_}" for name, was, is_ in found.elsewhere)
    lines.append(f"Known to differ: {changed}." if changed else "Nothing is known to differ.")
    return tuple(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
