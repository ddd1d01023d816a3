"""Who watches a study: MLflow, the terminal, what keeps the disk tidy."""

from __future__ import annotations

from typing import Protocol

from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase


class Observer(Protocol):
    """Told of facts after they are journalled; must not block.

    A trial that goes on after a failure is told as started again: its record says which attempt it
    is, and how the others failed. `progressed` comes more often than it is journalled.
    """

    def study_started(self, study: StudyRecord) -> None: ...
    def trial_started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None: ...
    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None: ...
    def trial_ended(self, trial: TrialRecord) -> None: ...
    def study_ended(self, study: StudyRecord) -> None: ...
