"""The interface of a study's observers: MLflow, the terminal, and the trials' files."""

from __future__ import annotations

from typing import Protocol

from tuner.journal.records import Evaluation, StudyRecord, TrialRecord
from tuner.progress import Phase


class Observer(Protocol):
    """An object that is told about facts after they are journalled; its methods must not block.

    `trial_started` is called again for a trial that continues after a failure: its record says
    which attempt it is, and how the others failed. `progressed` is called more often than it is
    journalled. `recommended` is called once, by a confirmation whose choice has been made.
    """

    def study_started(self, study: StudyRecord) -> None: ...
    def trial_started(self, trial: TrialRecord) -> None: ...
    def progressed(self, trial: TrialRecord, pairs_seen: int, phase: Phase) -> None: ...
    def evaluated(self, trial: TrialRecord, evaluation: Evaluation) -> None: ...
    def trial_ended(self, trial: TrialRecord) -> None: ...
    def recommended(self, study: StudyRecord) -> None: ...
    def study_ended(self, study: StudyRecord) -> None: ...
