"""`tuner compare`: the differences of two studies or trials in settings and in dev scores.

The difference is always B - A, on dev pairs that both share. If both sides were trained with
several seeds, its interval accounts for seeds and sentences (`tuner.statistics`: seeds crossed with
the components of shared sentences). Otherwise it accounts for sentences alone. This module never
reads test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tuner.data.overlap import components_of
from tuner.errors import UserError
from tuner.journal.records import OBJECTIVE
from tuner.report.sides import Side
from tuner.statistics.items import Table
from tuner.statistics.variance import Estimate, estimate
from tuner.study.criteria import EvaluationSet
from tuner.study.protocol import EvaluationProtocol
from tuner.study.trial import flatten

BLOCKS = ("encoder", "languages", "protocol")
"""Blocks of a study's settings that its scores depend on, besides its data and its trials."""


@dataclass(frozen=True)
class ScoreRow:
    """The scores of both sides on one dev set, or on the mean of several.

    Attributes:
        name: `select/…` if both protocols permit choosing by this score, otherwise `oracle/…`.
        a: accuracy of A, 0 to 1, over the compared seeds.
        b: accuracy of B, likewise.
        difference: b - a, paired.
    """

    name: str
    a: float
    b: float
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """A comparison of side A with side B.

    Attributes:
        a, b: the sides.
        settings: the settings that differ, except seeds: (name, A's value, B's value).
        seeds: pairs of compared seeds, one of A and one of B; empty where one side has a single
            seed, so that the interval is over items alone.
        rows: the objective first, if both have the same; then means over languages; then dev sets.
        alone: dev sets that only one side was evaluated on, or that only one protocol permits.
    """

    a: Side
    b: Side
    settings: tuple[tuple[str, Any, Any], ...]
    seeds: tuple[tuple[int, int], ...]
    rows: tuple[ScoreRow, ...]
    alone: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as plain values that JSON can hold."""
        sides = {
            letter: {
                "name": side.name,
                "what": side.what,
                "chosen": side.chosen,
                "claim": side.record.claim,
                "objective": side.record.facts.objective,
                "study": side.record.name,
                "trials": [trial.number for trial in side.trials],
                "seeds": list(side.seeds),
            }
            for letter, side in (("a", self.a), ("b", self.b))
        }
        return {
            **sides,
            "settings": [{"name": name, "a": a, "b": b} for name, a, b in self.settings],
            "seeds": [list(pair) for pair in self.seeds],
            "rows": [asdict(row) for row in self.rows],
            "alone": list(self.alone),
        }


def compare(a: Side, b: Side, oracle: bool = False) -> Comparison:
    """Compare two sides.

    Args:
        a: the side that differences are measured from.
        b: the other side.
        oracle: also compare dev sets that no decision may use, and means over them.

    Raises:
        UserError: the sides are the same, have different data, or share no dev set.
    """
    if (a.record.id, a.trials) == (b.record.id, b.trials):
        raise UserError(f"{a.name} and {b.name} are the same: {a.what}", "Name two different ones.")
    _check_same_data(a, b)
    permitted = [each for each in a.protocol.select if each in b.protocol.select]
    evaluated = [side.protocol.sets for side in (a, b)]
    common = [each for each in evaluated[0] if each in evaluated[1]]
    others = [each for each in common if each not in permitted] if oracle else []
    if not (permitted or others):
        names = [", ".join(each.name for each in side.protocol.select) for side in (a, b)]
        raise UserError(
            f"no dev set may be used to choose in both: {names[0]} in {a.name}, {names[1]} in "
            f"{b.name}",
            "Compare the dev sets that no decision may use, if both have recorded them: --oracle",
        )
    seeds = _paired(a.seeds, b.seeds)
    rows = [
        _row(name, sets, a, b, seeds)
        for name, sets in _rows(a.protocol, b.protocol, permitted, others)
    ]
    shown = [each for each in (*evaluated[0], *evaluated[1]) if oracle or each not in common]
    alone = dict.fromkeys(each.name for each in shown if each not in (*permitted, *others))
    return Comparison(a, b, tuple(_settings(a, b)), seeds, tuple(rows), tuple(alone))


def _check_same_data(a: Side, b: Side) -> None:
    """Raise UserError unless both sides have the same dev pairs, item by item."""
    data = [side.record.facts.data for side in (a, b)]
    if data[0].checksum != data[1].checksum:
        sentences = [
            f"{side.name} has {each.checksum[:12]} ({', '.join(each.languages)})"
            for side, each in zip((a, b), data, strict=True)
        ]
        raise UserError(
            f"the two have different data (checksum and languages): {sentences[0]}; {sentences[1]}",
            "Compare studies of the same data: differences need the same dev pairs.",
        )
    for each in set(a.protocol.sets) & set(b.protocol.sets):
        found = [
            components_of(side.record.facts.overlap, "dev", each.language1, each.language2)
            for side in (a, b)
        ]
        if not np.array_equal(found[0], found[1]):
            raise UserError(
                f"{a.name} and {b.name} have different dev pairs of {each.name}",
                "One of the journals is damaged, or from a different version: run the study again.",
            )


def _paired(a: Sequence[int], b: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Pair equal seeds of A and B; fewer than two are treated as independent, paired in order."""
    if min(len(a), len(b)) < 2:
        return ()
    both = sorted({*a} & {*b})
    if len(both) >= 2:
        return tuple((seed, seed) for seed in both)
    return tuple(zip(a, b, strict=False))


def _rows(
    a: EvaluationProtocol,
    b: EvaluationProtocol,
    permitted: Sequence[EvaluationSet],
    others: Sequence[EvaluationSet],
) -> Iterator[tuple[str, tuple[EvaluationSet, ...]]]:
    """Yield the name of each row and its dev sets; no mean appears twice."""
    means = set()
    objective = a.objective
    if objective.parts == b.objective.parts and [p.together for p in objective.parts] == [None]:
        yield OBJECTIVE, objective.sets
        means.add(objective.sets)
    for name, languages in a.groups.items():
        sets = tuple(EvaluationSet(language, language) for language in languages)
        if len(sets) < 2 or b.groups.get(name) != languages or sets in means:
            continue
        means.add(sets)
        if all(each in permitted for each in sets):
            yield f"select/{name}", sets
        elif all(each in (*permitted, *others) for each in sets):
            yield f"oracle/{name}", sets
    for role, chosen in (("select", permitted), ("oracle", others)):
        for each in chosen:
            yield f"{role}/{each.name}", (each,)


def _row(
    name: str,
    sets: Sequence[EvaluationSet],
    a: Side,
    b: Side,
    seeds: Sequence[tuple[int, int]],
) -> ScoreRow:
    if seeds:
        of_a, of_b = (a.table(sets, [s for s, _ in seeds]), b.table(sets, [s for _, s in seeds]))
    else:
        of_a, of_b = (_over_seeds(side.table(sets, side.seeds)) for side in (a, b))
    return ScoreRow(name, of_a.mean, of_b.mean, estimate(of_b.minus(of_a)))


def _over_seeds(table: Table) -> Table:
    """Average a table over seeds into a single row, which leaves the variation over items."""
    return Table(table.totals.mean(axis=0, keepdims=True), table.weights)


def _settings(a: Side, b: Side) -> Iterator[tuple[str, Any, Any]]:
    ours, theirs = (_flat(side) for side in (a, b))
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            yield name, ours.get(name), theirs.get(name)


def _flat(side: Side) -> Mapping[str, Any]:
    """Return everything that a side's scores depend on, except seeds, by dotted name."""
    trial = side.trials[0]
    assert trial.last is not None
    settings = side.record.settings.model_dump(mode="json", include=set(BLOCKS))
    own = {name: value for name, value in trial.config.flat().items() if name != "seed"}
    return {
        **own,
        "precision": trial.last.precision,
        "resources.workers": trial.last.workers,
        "budget.pairs_per_trial": trial.budget,
        **flatten(settings),
        "encoder.checksum": side.record.facts.encoder.checksum[:12],
    }
