"""A comparison as blocks: both sides, their differences, and what the differences show."""

from __future__ import annotations

from tuner.blocks import Block, Facts, Grid, Points, Words
from tuner.report.compare import Comparison, ScoreRow
from tuner.report.leaderboard import percent, shown
from tuner.report.sides import Side
from tuner.wording import between, points


def comparison(found: Comparison) -> list[Block]:
    """Return the settings that differ, the scores, and the sentences about them."""
    sides = []
    for letter, side in (("A", found.a), ("B", found.b)):
        seeds = f"seed{'s' if len(side.seeds) > 1 else ''} {', '.join(map(str, side.seeds))}"
        sides.append((letter, f"{side.what} ({seeds})"))
    settings: Block = Words("All settings but the seeds are the same.")
    if found.settings:
        rows = tuple((name, _shown(a), _shown(b)) for name, a, b in found.settings)
        settings = Grid("Settings that differ.", "", ("setting", "A", "B"), rows)
    verdict, *others = sentences(found)
    answer = (Words(verdict, "answer"), Points(tuple(others)))
    return [Facts(tuple(sides)), settings, _scores(found), *answer]


def sentences(found: Comparison) -> tuple[str, ...]:
    """Return the verdict of the first row, what its interval accounts for, and caveats."""
    lines = [_verdict(found), _accounted(found)]
    if len(found.rows) > 1:
        lines.append(
            f"Each of the {len(found.rows)} intervals is for itself: of many, some miss by chance."
        )
    for letter, side in (("A", found.a), ("B", found.b)):
        if side.chosen:
            lines.append(f"{letter} is {side.chosen}.")
    if any(row.name.startswith("oracle/") for row in found.rows):
        lines.append(
            "oracle/… is for the record only: a choice between the two by it is no longer "
            "zero-shot."
        )
    if found.alone:
        lines.append(f"Not compared, because only one of them has it: {', '.join(found.alone)}.")
    lines += _protocols(found.a, found.b)
    return tuple(lines)


def _verdict(found: Comparison) -> str:
    row = found.rows[0]
    difference = row.difference.value
    text = f"On {row.name}, B - A is {points(100 * difference)} percentage points"
    if row.difference.error == 0:
        return (
            f"{text}, the same in every group of pairs that share sentences, so no interval can be "
            "estimated."
        )
    if row.difference.low <= 0 <= row.difference.high:
        what = "no significant difference"
    else:
        what = f"{'B' if difference > 0 else 'A'} is significantly better"
        what += "" if found.seeds else ", as trained here"
    return f"{text} (95 % CI {_interval(row)}): {what}."


def _accounted(found: Comparison) -> str:
    if not found.seeds:
        of = " The scores of a side with several seeds are their means." * (
            max(len(found.a.seeds), len(found.b.seeds)) > 1
        )
        return (
            "Intervals account for items only, grouped by shared sentences. They do not account "
            f"for seeds: with a different seed the difference would be different.{of}"
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
    """Return how the protocols differ if they do."""
    facts = [side.record.facts for side in (a, b)]
    if a.protocol == b.protocol:
        return ()
    if facts[0].objective != facts[1].objective:
        return (
            f"Their protocols differ: the objective of A is {facts[0].objective}, that of B is "
            f"{facts[1].objective}.",
        )
    return ("Their protocols differ, and so do their claims.",)


def _claims(a: Side, b: Side) -> str:
    first, second = (side.record.claim for side in (a, b))
    if first == second and a.protocol == b.protocol:
        return f"Claim of both: {first}"
    return f"Claim of A: {first}. Claim of B: {second}"


def _scores(found: Comparison) -> Grid:
    rows = []
    for row in found.rows:
        scores = (percent(row.a), percent(row.b), points(100 * row.difference.value))
        rows.append((row.name, *scores, _interval(row)))
    columns = ("dev", "A", "B", "B - A", "95 % CI")
    return Grid("Dev accuracy, in %.", _claims(found.a, found.b), columns, tuple(rows))


def _interval(row: ScoreRow) -> str:
    if row.difference.error == 0:
        return "–"
    return between(100 * row.difference.low, 100 * row.difference.high)


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return shown(value)
