"""The criteria that a corpus can be evaluated by: those whose dev sets all have pairs."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.data.corpus import Corpus
from tuner.errors import UserError
from tuner.study.criteria import Criterion, Part
from tuner.study.roles import Objective


def evaluable(
    corpus: Corpus, criteria: Mapping[Objective, Criterion], objective: Objective
) -> tuple[Objective, ...]:
    """Return the criteria for which the dev split has pairs, by name.

    A pair of two languages needs an id that is clean in both; languages whose dev sets are not
    translations of each other share none.

    Args:
        corpus: the corpus.
        criteria: the criteria that the protocol permits.
        objective: the one that is to choose.

    Raises:
        UserError: the objective is not among them.
    """
    found = tuple(
        name
        for name, criterion in criteria.items()
        if all(_has_pairs(corpus, part) for part in criterion.parts)
    )
    if objective not in found:
        sets = criteria[objective].sets
        languages = {lang for each in sets for lang in (each.language1, each.language2)}
        raise UserError(
            f"protocol.objective {objective} compares the same dev pairs in several languages, but "
            f"the dev sets of {', '.join(sorted(languages))} share no ids, or too few",
            "Give the same pair the same id in every language, or choose by each language on its "
            "own: --set protocol.objective=mean",
        )
    return found


def _has_pairs(corpus: Corpus, part: Part) -> bool:
    """Return whether every set of a part has pairs; for an agreement, its class in all at once."""
    dev = corpus.rows["dev"]
    of_set = [
        dev.get(each.language1, {}).keys() & dev.get(each.language2, {}).keys()
        for each in part.sets
    ]
    if part.together is None:
        return all(of_set)
    shared = set.intersection(*map(set, of_set))
    labels = dev.get(part.sets[0].language1, {})
    return any(labels[id_].label == part.together for id_ in shared)
