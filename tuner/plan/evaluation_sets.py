"""The numbers of dev sets that a study's evaluations read, which a plan's times depend on."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.study import StudyConfig
from tuner.study.protocol import EvaluationProtocol


@dataclass(frozen=True)
class EvaluationSets:
    """Numbers of dev sets in an evaluation.

    Attributes:
        at_rungs: below the full budget, where the objective's sets are evaluated.
        at_full: at the full budget, where all are.
    """

    at_rungs: int
    at_full: int

    @classmethod
    def of(cls, study: StudyConfig) -> EvaluationSets:
        """Count the sets of a study's protocol."""
        protocol = EvaluationProtocol.of(study.languages, study.protocol, machine_translated=False)
        return cls(len({*protocol.at_rungs}), len({*protocol.sets}))
