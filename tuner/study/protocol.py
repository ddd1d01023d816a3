"""Protocol: which data may train, select and report, and the claim of a study's numbers.

It is derived from the study's languages and protocol block, never typed in. Everything that chooses
(ASHA, the sampler, a leaderboard) reads `EvaluationProtocol.objective`, which is a function of
permitted dev scores alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tuner.study.languages import among, primary
from tuner.study.roles import LanguagesConfig, ProtocolConfig, trained_on
from tuner.study.scores import Scores

FAMILY_OF_ENGLISH = frozenset({"de", "es", "fr"})
"""The PAWS-X targets in group `enf` of arXiv 2205.08497; all others are in `rest`."""

MEANS = ("sources", "targets", "enf", "rest")
"""Names of the means over languages, reported beside the scores of single languages."""


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
    """A part of the objective: the mean accuracy over some dev sets.

    Attributes:
        name: `mean` if the objective has no other part, else that of its set or of its kind.
        sets: the dev sets.
    """

    name: str
    sets: tuple[EvaluationSet, ...]


@dataclass(frozen=True)
class EvaluationProtocol:
    """The roles of languages in a study.

    Attributes:
        train: languages trained on.
        select: dev sets that may be used to choose; all are evaluated.
        parts: the parts of the objective, which is the least of them.
        oracle: dev sets of targets, which are only recorded; no decision may read them.
        targets: languages that results are claimed for.
        zero_shot: targets whose scores may be called zero-shot.
        claim: the sentence that every reported number carries.
    """

    train: tuple[str, ...]
    select: tuple[EvaluationSet, ...]
    parts: tuple[Part, ...]
    oracle: tuple[EvaluationSet, ...]
    targets: tuple[str, ...]
    zero_shot: tuple[str, ...]
    claim: str

    @classmethod
    def of(
        cls,
        languages: LanguagesConfig,
        protocol: ProtocolConfig,
        machine_translated: bool | None,
        seen: Sequence[str] = (),
        evidence: Sequence[str] = (),
    ) -> EvaluationProtocol:
        """Derive the roles.

        Args:
            languages: the study's languages by role.
            protocol: the study's protocol block.
            machine_translated: whether any training text is machine-translated; None if unknown.
            seen: languages on which another study fine-tuned or chose the encoder; none of them is
                zero-shot in this study.
            evidence: what was found in data and encoder that limits the claim, in words.
        """
        train = trained_on(languages, protocol)
        targets = tuple(languages.target)
        permitted = [*train, *protocol.pivot]
        if protocol.kind == "oracle":
            permitted += targets
        select = _monolingual(permitted)
        read = _monolingual(targets) if protocol.kind == "oracle" else select
        parts = _parts(protocol, train, read)
        select = tuple(dict.fromkeys((*select, *(each for part in parts for each in part.sets))))
        choosing = dict.fromkeys(
            lang for each in select for lang in (each.language1, each.language2)
        )
        recorded = [lang for lang in targets if lang not in choosing]
        oracle = _monolingual(recorded) if protocol.record_oracle else ()
        zero_shot = tuple(lang for lang in recorded if not among(lang, (*train, *choosing, *seen)))
        untrained = [lang for lang in choosing if lang not in train]
        return cls(
            train=train,
            select=select,
            parts=parts,
            oracle=oracle,
            targets=targets,
            zero_shot=zero_shot,
            claim="; ".join(
                (
                    _claim(
                        train,
                        targets,
                        zero_shot,
                        untrained,
                        protocol.kind,
                        machine_translated,
                        seen,
                    ),
                    *evidence,
                )
            ),
        )

    def objective(self, select: Mapping[str, Scores]) -> float:
        """Return the one number that ASHA and the sampler see: the least of the parts.

        Args:
            select: scores of permitted sets by name.
        """
        return min(fmean(select[each.name].accuracy for each in part.sets) for part in self.parts)

    @property
    def read(self) -> tuple[EvaluationSet, ...]:
        """The sets of `select` that the objective reads."""
        return tuple(each for part in self.parts for each in part.sets)

    @property
    def seen(self) -> tuple[str, ...]:
        """Languages used to train or choose; the trained encoder is zero-shot for none of them."""
        chosen = (lang for each in self.select for lang in (each.language1, each.language2))
        return tuple(dict.fromkeys((*self.train, *chosen)))

    @property
    def objective_name(self) -> str:
        """The objective in words, e.g. `mean dev accuracy on en, de`."""
        names = [", ".join(each.name for each in part.sets) for part in self.parts]
        if len(names) == 1:
            return f"mean dev accuracy on {names[0]}"
        if all(len(part.sets) == 1 for part in self.parts):
            return f"worst dev accuracy on {', '.join(names)}"
        return f"lesser of the mean dev accuracies on {' and on '.join(names)}"

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Languages by group: `sources`, `targets`, and `enf` and `rest` among the targets.

        Empty groups are left out.
        """
        family = tuple(lang for lang in self.targets if primary(lang) in FAMILY_OF_ENGLISH)
        rest = tuple(lang for lang in self.targets if lang not in family)
        groups = zip(MEANS, (self.train, self.targets, family, rest), strict=True)
        return {group: languages for group, languages in groups if languages}

    def averages(self, scores: Mapping[str, Scores]) -> dict[str, Scores]:
        """Return unweighted means over `groups`, only for groups with all languages scored."""
        return {
            group: mean_scores([scores[lang] for lang in languages])
            for group, languages in self.groups.items()
            if all(lang in scores for lang in languages)
        }


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Return the unweighted means of accuracy and F1, with the sum of `pairs`."""
    return Scores(
        accuracy=fmean(score.accuracy for score in scores),
        f1=fmean(score.f1 for score in scores),
        pairs=sum(score.pairs for score in scores),
    )


def _parts(
    protocol: ProtocolConfig, train: Sequence[str], read: tuple[EvaluationSet, ...]
) -> tuple[Part, ...]:
    """Return the parts of the objective; `read` are the monolingual sets that may be chosen by."""
    crossed = tuple(EvaluationSet(a, b) for a in train for b in train if a != b)
    match protocol.objective:
        case "mean":
            return (Part("mean", read),)
        case "worst" if len(read) > 1:
            return tuple(Part(each.name, (each,)) for each in read)
        case "worst":
            return (Part("mean", read),)
        case "cross_lingual":
            return (Part("mean", crossed),)
        case "balanced":
            return Part("monolingual", _monolingual(train)), Part("cross-lingual", crossed)
        case "held_out":
            assert protocol.held_out is not None
            return (Part("mean", _monolingual([protocol.held_out])),)
        case "pivot":
            return (Part("mean", _monolingual(protocol.pivot)),)


def _monolingual(languages: Sequence[str]) -> tuple[EvaluationSet, ...]:
    return tuple(EvaluationSet(lang, lang) for lang in dict.fromkeys(languages))


def _claim(
    train: tuple[str, ...],
    targets: tuple[str, ...],
    zero_shot: tuple[str, ...],
    untrained: Sequence[str],
    kind: str,
    machine_translated: bool | None,
    seen: Sequence[str],
) -> str:
    """Return the claim in words; `untrained` languages are used to choose but not to train."""
    supervised = [lang for lang in targets if among(lang, train)]
    parts = []
    if kind == "oracle":
        parts.append(f"upper bound, selected on target dev, never zero-shot: {', '.join(targets)}")
    elif zero_shot:
        parts.append(f"zero-shot for {', '.join(zero_shot)}")
    if supervised:
        parts.append(f"supervised for {', '.join(supervised)}, never zero-shot")
    if before := [lang for lang in targets if among(lang, seen) and not among(lang, train)]:
        parts.append(f"the encoder was fine-tuned on {', '.join(before)} before: never zero-shot")
    if untrained and kind != "oracle":
        parts.append(f"selected also on dev of {', '.join(untrained)}")
    translated = {True: "yes", False: "no", None: "unknown"}[machine_translated]
    parts.append(f"trained on {', '.join(train)} (machine-translated: {translated})")
    return "; ".join(parts)
