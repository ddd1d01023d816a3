"""The outcome of a driver's work, and the message that the user sees about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from tuner.errors import StorageFull, UserError
from tuner.invocation import command
from tuner.journal.records import AT_REST, FailureKind, StudyRecord, StudyState
from tuner.search.recommend import concluded
from tuner.storage.folders import Place
from tuner.study.design import ConfirmDesign


@dataclass(frozen=True)
class StudyOutcome:
    """The outcome of a driver's work.

    Attributes:
        state: the study's state.
        reason: the reason in words.
        error: the error that the user has to fix before the study can continue.
        journalled: False if the journal cannot be written and so does not hold this outcome.
    """

    state: StudyState
    reason: str
    error: UserError | None = None
    journalled: bool = True

    @classmethod
    def paused(cls, folder: Place, number: int, kind: FailureKind, why: str) -> Self:
        """Return the outcome of a failure that every other trial would meet as well."""
        if kind == "disk_full":
            error: UserError = StorageFull(folder)
        else:
            go_on = f"Fix this, then continue with: {command('resume', folder)}"
            error = UserError(f"trial {number} cannot be trained: {why}", go_on)
        return cls("interrupted", error.problem, error)

    @classmethod
    def at_the_end(cls, interrupted: bool, why: str) -> Self:
        """Return the outcome when a user interrupted, or no other trial comes for this reason."""
        if interrupted:
            return cls("interrupted", "resume continues it")
        return cls("completed", why)

    def of(self, study: StudyRecord) -> Self:
        """Return this outcome adjusted to a study's current record.

        A study without a result has failed, unless its budget ended before any trial did.
        """
        if self.state != "completed":
            return self
        if _unfinished(study):
            why = f"{self.reason}: " if self.reason else ""
            why += "the confirmation has not ended"
            return replace(self, state="interrupted", reason=why)
        ended = sum(trial.state in AT_REST for trial in study.trials)
        left = len(study.trials) - ended
        reason = f"{ended} trials" + (f", {left} unfinished" if left else "")
        if not study.complete:
            if self.reason and left == len(study.trials):
                return replace(self, state="interrupted", reason=f"{self.reason}; {reason}")
            reason = f"no trial reached the full budget: {reason}"
        reason += f"; {self.reason}" if self.reason else ""
        return replace(self, state="completed" if study.complete else "failed", reason=reason)


def _unfinished(study: StudyRecord) -> bool:
    """Return whether a budget ended a confirmation before it had chosen or read test."""
    design = study.settings.design
    return isinstance(design, ConfirmDesign) and not concluded(design, study)
