"""Protocol: which data may train, select and report, and the claim of a study's numbers.

It is derived from the study's languages and protocol block, never typed in. Everything that chooses
(ASHA, the sampler, a leaderboard) reads the value of `EvaluationProtocol.objective`, a criterion,
which is a function of permitted dev alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tuner.study.criteria import Criterion, EvaluationSet, criteria_of, monolingual
from tuner.study.languages import among
from tuner.study.roles import MEANS, LanguagesConfig, Objective, ProtocolConfig, trained_on
from tuner.study.scores import Scores


@dataclass(frozen=True)
class EvaluationProtocol:
    """The roles of languages in a study.

    Attributes:
        train: languages trained on.
        criteria: the permitted criteria that are evaluated, by name.
        objective: the criterion that chooses, which is one of them.
        at_rungs: dev sets that are evaluated below the full budget.
        select: dev sets that the criteria read; at the full budget all are evaluated.
        oracle: dev sets of targets, which are only recorded; no decision may read them.
        targets: languages that results are claimed for.
        zero_shot: targets whose scores may be called zero-shot.
        groups: languages by mean: `sources`, `targets`, and groups of targets; none is empty.
        claim: the sentence that every reported number carries.
    """

    train: tuple[str, ...]
    criteria: Mapping[Objective, Criterion]
    objective: Criterion
    at_rungs: tuple[EvaluationSet, ...]
    select: tuple[EvaluationSet, ...]
    oracle: tuple[EvaluationSet, ...]
    targets: tuple[str, ...]
    zero_shot: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    claim: str

    @classmethod
    def of(
        cls,
        languages: LanguagesConfig,
        protocol: ProtocolConfig,
        machine_translated: bool | None,
        seen: Sequence[str] = (),
        evidence: Sequence[str] = (),
        *,
        classes: int = 2,
        recorded: Sequence[Objective] | None = None,
    ) -> EvaluationProtocol:
        """Derive the roles.

        Args:
            languages: the study's languages by role.
            protocol: the study's protocol block.
            machine_translated: whether any training text is machine-translated; None if unknown.
            seen: languages on which another study fine-tuned or chose the encoder; none of them is
                zero-shot in this study.
            evidence: what was found in data and encoder that limits the claim, in words.
            classes: the number of classes.
            recorded: the criteria that a study's record names; an empty list if an older version
                wrote it, which evaluated the sets of the objective, and all of them at every rung.
                None: every criterion that is permitted.
        """
        train = trained_on(languages, protocol)
        targets = tuple(languages.target)
        permitted = criteria_of(protocol, train, targets, classes)
        objective = permitted[protocol.objective]
        kept = permitted if recorded is None else {*recorded, objective.name}
        criteria = {name: each for name, each in permitted.items() if name in kept}
        # Dev of what trains or serves as pivot is always evaluated: reports show it.
        always = permitted["mean"].sets
        if protocol.kind == "oracle":
            always = monolingual([*train, *targets])
        sets = (*always, *(each for by in criteria.values() for each in by.sets))
        select = tuple(dict.fromkeys(sets))
        choosing = dict.fromkeys(
            lang for each in select for lang in (each.language1, each.language2)
        )
        only_recorded = [lang for lang in targets if lang not in choosing]
        oracle = monolingual(only_recorded) if protocol.record_oracle else ()
        zero_shot = tuple(
            lang for lang in only_recorded if not among(lang, (*train, *choosing, *seen))
        )
        untrained = [lang for lang in choosing if lang not in train]
        groups = {**dict(zip(MEANS, (train, targets), strict=True)), **languages.means}
        return cls(
            train=train,
            criteria=criteria,
            objective=objective,
            at_rungs=(*select, *oracle) if recorded == () else objective.sets,
            select=select,
            oracle=oracle,
            targets=targets,
            zero_shot=zero_shot,
            groups={name: each for name, each in groups.items() if each},
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

    @property
    def sets(self) -> tuple[EvaluationSet, ...]:
        """The dev sets that are evaluated at the full budget."""
        return (*self.select, *self.oracle)

    @property
    def seen(self) -> tuple[str, ...]:
        """Languages used to train or choose; the trained encoder is zero-shot for none of them."""
        chosen = (lang for each in self.select for lang in (each.language1, each.language2))
        return tuple(dict.fromkeys((*self.train, *chosen)))

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
