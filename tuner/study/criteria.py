"""Criteria: the numbers by which a protocol may choose, each a function of permitted dev alone.

A criterion is the least of its parts. The study's objective is one of them; the others are
evaluated at the full budget, so a report can show how the choice depends on the criterion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuner.study.roles import Objective, ProtocolConfig


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """A dev or test set: sentence1 in one language, sentence2 in the same or another one."""

    language1: str
    language2: str

    @property
    def name(self) -> str:
        """The set's name: `en` if both languages are the same, else the ordered pair `en-de`."""
        if self.language1 == self.language2:
            return self.language1
        return f"{self.language1}-{self.language2}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a criterion: the mean accuracy over some dev sets, or agreement between them.

    Attributes:
        name: `mean` if the criterion has no other part, else that of its set, kind or class.
        sets: the dev sets.
        together: None for the mean accuracy; else a class. The part is then the share of the ids
            of this class that are right in every set, over the ids that are clean in all of them.
    """

    name: str
    sets: tuple[EvaluationSet, ...]
    together: int | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """A number by which configurations may be chosen, from 0 to 1; the higher the better.

    Attributes:
        name: its name in `protocol.objective`.
        parts: the parts; the criterion is the least of them.
    """

    name: Objective
    parts: tuple[Part, ...]

    @property
    def sets(self) -> tuple[EvaluationSet, ...]:
        """The dev sets that it reads, each once."""
        return tuple(dict.fromkeys(each for part in self.parts for each in part.sets))

    @property
    def in_words(self) -> str:
        """Its meaning, e.g. `mean dev accuracy on en, de`."""
        names = ", ".join(dict.fromkeys(each.language1 for each in self.sets))
        match self.name:
            case "cross_lingual":
                return f"mean dev accuracy across {names} (the sentences of a pair in two of them)"
            case "balanced":
                return f"balanced dev accuracy (the lesser of the means on {names} and across them)"
            case "joint":
                share = "the least share of a class's pairs that are right on and across"
                return f"joint dev accuracy ({share} {names})"
            case "worst" if len(self.parts) > 1:
                return f"worst dev accuracy on {names}"
            case "mean" | "worst" | "held_out" | "pivot":
                return f"mean dev accuracy on {names}"

    def value(self, of: Callable[[Part], float]) -> float:
        """Return its value.

        Args:
            of: returns the value of a part.
        """
        return min(map(of, self.parts))


def criteria_of(
    protocol: ProtocolConfig, train: Sequence[str], targets: Sequence[str], classes: int
) -> Mapping[Objective, Criterion]:
    """Return the criteria that a protocol permits, by name, that of the study among them.

    Args:
        protocol: the study's protocol block.
        train: languages trained on.
        targets: the target languages; only the upper bound `oracle` may choose by their dev.
        classes: the number of classes.
    """
    if protocol.kind == "oracle":
        return _by_name(_means(monolingual(targets)))
    found = _means(monolingual([*train, *protocol.pivot]))
    if len(train) > 1:
        own = monolingual(train)
        crossed = tuple(EvaluationSet(a, b) for a in train for b in train if a != b)
        halves = (Part("monolingual", own), Part("cross-lingual", crossed))
        every = (*own, *crossed)
        alike = tuple(Part(f"class {each}", every, each) for each in range(classes))
        found += [
            Criterion("cross_lingual", (Part("mean", crossed),)),
            Criterion("balanced", halves),
            Criterion("joint", alike),
        ]
    if protocol.held_out is not None:
        found.append(Criterion("held_out", (Part("mean", monolingual([protocol.held_out])),)))
    if protocol.pivot:
        found.append(Criterion("pivot", (Part("mean", monolingual(protocol.pivot)),)))
    return _by_name(found)


def monolingual(languages: Sequence[str]) -> tuple[EvaluationSet, ...]:
    """Return the sets with both sentences in one language."""
    return tuple(EvaluationSet(lang, lang) for lang in dict.fromkeys(languages))


def _means(read: tuple[EvaluationSet, ...]) -> list[Criterion]:
    mean = (Part("mean", read),)
    each = tuple(Part(single.name, (single,)) for single in read)
    return [Criterion("mean", mean), Criterion("worst", each if len(read) > 1 else mean)]


def _by_name(criteria: Sequence[Criterion]) -> Mapping[Objective, Criterion]:
    return {each.name: each for each in criteria}
