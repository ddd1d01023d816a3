"""Tables of the pairs that trials classified correctly, read from a study's record for estimates.

A row is a seed. A column is a component of shared sentences, the same one in all languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tuner.data.corpus import Split
from tuner.data.overlap import components_of
from tuner.errors import UserError
from tuner.journal.arrays import text_as_bits, text_as_ints
from tuner.journal.facts import OverlapFacts, StudyFacts
from tuner.journal.records import StudyRecord
from tuner.statistics.items import Table
from tuner.study.criteria import EvaluationSet, Part
from tuner.study.protocol import EvaluationProtocol


def protocol_of(study: StudyRecord) -> EvaluationProtocol:
    """Return the roles of languages in a study."""
    return EvaluationProtocol.of(
        study.settings.languages,
        study.settings.protocol,
        study.facts.data.machine_translated,
        study.facts.encoder.seen,
        classes=len(study.facts.data.labels) or 2,
        recorded=study.facts.criteria,
    )


def table_of(
    overlap: OverlapFacts,
    split: Split,
    answers: Sequence[Mapping[str, str]],
    sets: Sequence[EvaluationSet],
) -> Table:
    """Return the table of the unweighted mean accuracy over evaluation sets.

    Args:
        overlap: the overlap in the facts of the study's record.
        split: the split that was evaluated.
        answers: the answers of each seed by evaluation set, as the journal stores them.
        sets: evaluation sets; every seed has answers for each of them.

    Raises:
        UserError: an older version wrote the record, or the record is damaged.
    """
    right, components = [], []
    for each in sets:
        own = components_of(overlap, split, each.language1, each.language2)
        try:
            seeds = [text_as_bits(of_seed[each.name], len(own)) for of_seed in answers]
        except (KeyError, ValueError) as error:
            raise _unrecorded(split, each.name, error) from error
        right.append(np.stack(seeds))
        components.append(own)
    return Table.of(right, components)


def part_table(facts: StudyFacts, answers: Sequence[Mapping[str, str]], part: Part) -> Table:
    """Return the table of a criterion's part on dev.

    Args:
        facts: the facts of the study's record.
        answers: as in `table_of`.
        part: the part of a criterion.

    Raises:
        UserError: as in `table_of`.
    """
    if part.together is None:
        return table_of(facts.overlap, "dev", answers, part.sets)
    try:
        rows = facts.overlap.rows["dev"]
        components, classes = (
            text_as_ints(rows.components),
            text_as_ints(facts.data.dev_classes or ""),
        )
        names = dict.fromkeys(n for each in part.sets for n in (each.language1, each.language2))
        clean = {name: text_as_bits(rows.clean[name], len(components)) for name in names}
        everywhere = np.all(list(clean.values()), axis=0)
        right = []
        for each in part.sets:
            own = clean[each.language1] & clean[each.language2]
            bits = [text_as_bits(of_seed[each.name], int(own.sum())) for of_seed in answers]
            right.append(np.stack(bits)[:, everywhere[own]])
        counted = classes[everywhere] == part.together
    except (KeyError, ValueError, IndexError) as error:
        raise _unrecorded("dev", ", ".join(each.name for each in part.sets), error) from error
    return Table.of([np.all(right, axis=0)[:, counted]], [components[everywhere][counted]])


def _unrecorded(split: Split, where: str, error: Exception) -> UserError:
    return UserError(
        f"the record does not say which {split} pairs of {where} were classified correctly "
        f"({type(error).__name__}: {error})",
        "Restore the journal from a backup, or run the study again.",
    )
