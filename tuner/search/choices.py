"""The choices of every permitted criterion, seen after the fact; nothing is chosen here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.wording import listed

Criteria = Mapping[str, float]
"""The values of criteria by name."""


@dataclass(frozen=True)
class Choice:
    """The candidate that a criterion would have chosen.

    Attributes:
        criterion: the name of the criterion.
        chosen: the candidate with the highest value; the first of equal ones.
        values: the criterion's value for every candidate that has one, in order.
    """

    criterion: str
    chosen: str
    values: Mapping[str, float]


def choices(candidates: Mapping[str, Criteria], objective: str) -> tuple[Choice, ...]:
    """Return the choice of every criterion that all candidates have, that of `objective` first.

    Args:
        candidates: the criteria of every candidate, in the order in which ties are broken.
        objective: the name of the criterion that chose.
    """
    shared = set.intersection(*(set(own) for own in candidates.values())) if candidates else set()
    first = next(iter(candidates.values()), {})
    names = sorted((name for name in first if name in shared), key=lambda name: name != objective)
    found = []
    for name in names:
        values = {candidate: own[name] for candidate, own in candidates.items()}
        found.append(Choice(name, max(values, key=lambda each: values[each]), values))
    return tuple(found)


def dissenting(found: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Return the choices of the criteria that would have chosen another candidate."""
    return tuple(each for each in found[1:] if each.chosen != found[0].chosen)


def in_words(found: tuple[Choice, ...]) -> str:
    """Return a sentence about what the other criteria would have chosen."""
    others = dissenting(found)
    if not others:
        return f"By {listed([each.criterion for each in found[1:]])}, it would be the same choice."
    parts = "; ".join(f"by {each.criterion} {each.chosen}" for each in others)
    chosen = f"by {found[0].criterion} it is {found[0].chosen}"
    return f"The choice depends on the criterion: {chosen}, {parts}."


def front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return the candidates on the Pareto front of two scores, the highest by the first one first.

    A candidate is on it if no other is at least as good by both and better by one.
    """
    ordered = sorted(points, key=lambda name: (-points[name][0], -points[name][1]))
    on_it: list[str] = []
    best: tuple[float, float] | None = None
    for name in ordered:
        here = points[name]
        if best is None or here[1] > best[1] or here == best:
            on_it.append(name)
            best = here
    return tuple(on_it)
