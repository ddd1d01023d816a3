"""Tables of the pairs that trials classified correctly, read from a study's record for estimates.

A row is a seed. A column is a component of shared sentences, the same one in all languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tuner.data.corpus import Split
from tuner.data.overlap import components_of
from tuner.errors import UserError
from tuner.journal.arrays import text_as_bits
from tuner.journal.facts import OverlapFacts
from tuner.journal.records import StudyRecord
from tuner.statistics.items import Table
from tuner.study.protocol import EvaluationProtocol, EvaluationSet


def protocol_of(study: StudyRecord) -> EvaluationProtocol:
    """Return the roles of languages in a study."""
    return EvaluationProtocol.of(
        study.settings.languages,
        study.settings.protocol,
        study.facts.data.machine_translated,
        study.facts.encoder.seen,
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
            raise UserError(
                f"the record does not say which {split} pairs of {each.name} were classified "
                f"correctly ({type(error).__name__}: {error})",
                "Restore the journal from a backup, or run the study again.",
            ) from error
        right.append(np.stack(seeds))
        components.append(own)
    return Table.of(right, components)
