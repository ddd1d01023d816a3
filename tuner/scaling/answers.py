"""Which dev pairs the trials of a study got right, from its journal: tables for statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Int

from tuner.arrays import text_as_bits
from tuner.data.overlap import components_of
from tuner.errors import UserError
from tuner.protocol import MEANS, Protocol
from tuner.records import StudyRecord, TrialRecord
from tuner.statistics.items import Table

RESPONSES = ("targets", "sources", "enf", "rest")
"""Means over languages, as an evaluation names them; the first is what a study is made for."""
assert set(RESPONSES) == set(MEANS)


@dataclass(frozen=True)
class Answers:
    """The dev answers of a study's complete trials.

    Attributes:
        languages: of each response of which all languages were evaluated.
        components: by language, the component of shared sentences of each of its dev pairs.
    """

    languages: Mapping[str, tuple[str, ...]]
    components: Mapping[str, Int[np.ndarray, " pairs"]]

    @classmethod
    def of(cls, record: StudyRecord, protocol: Protocol) -> Self:
        """Of a study and its protocol.

        Raises:
            UserError: the record does not say which pairs share sentences.
        """
        evaluated = {each.name for each in (*protocol.select, *protocol.oracle)}
        groups = protocol.groups
        languages = {
            name: groups[name]
            for name in RESPONSES
            if name in groups and evaluated.issuperset(groups[name])
        }
        return cls(
            languages,
            {
                language: components_of(record.facts, "dev", language, language)
                for language in dict.fromkeys(lang for each in languages.values() for lang in each)
            },
        )

    def table(self, response: str, trials: Sequence[TrialRecord]) -> Table:
        """The mean accuracy over the languages of a response, a row for each trial.

        Raises:
            UserError: the journal does not say what a trial got right.
        """
        languages = self.languages[response]
        right = [
            np.stack([self.right(trial, language) for trial in trials]) for language in languages
        ]
        return Table.of(right, [self.components[language] for language in languages])

    def mean(self, response: str, trial: TrialRecord) -> float:
        """A trial's mean accuracy over the languages of a response, 0 to 1.

        Raises:
            UserError: the journal does not say what the trial got right.
        """
        each = [self.right(trial, language).mean() for language in self.languages[response]]
        return float(np.mean(each))

    def right(self, trial: TrialRecord, language: str) -> Bool[np.ndarray, " pairs"]:
        """Which dev pairs of a language a trial got right at its full budget.

        Raises:
            UserError: the journal does not say.
        """
        assert trial.last is not None
        try:
            return text_as_bits(trial.last.answers[language], len(self.components[language]))
        except (KeyError, ValueError) as error:
            raise UserError(
                f"the journal does not say which {language} pairs trial {trial.number:03d} got "
                f"right ({type(error).__name__}: {error})",
                "A study begun by an older version has to be run anew; a damaged journal is to be "
                "restored from a backup.",
            ) from error
