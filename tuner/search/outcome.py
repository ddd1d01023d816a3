"""How a driver's work ends, and what the user is told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from tuner.errors import StorageFull, UserError
from tuner.invocation import command
from tuner.journal.records import ENDED, FailureKind, StudyRecord, StudyState
from tuner.search.recommend import concluded
from tuner.storage.folders import Place
from tuner.study.design import ConfirmDesign

NO_ROOM = "budget.total_pairs leaves no room for another trial"


@dataclass(frozen=True)
class Outcome:
    """How a driver's work ends.

    Attributes:
        state: the study's.
        reason: in words.
        error: what the user has to put right before the study can go on.
        journalled: False where the journal cannot be written, so that nothing of this is in it.
    """

    state: StudyState
    reason: str
    error: UserError | None = None
    journalled: bool = True

    @classmethod
    def paused(cls, folder: Place, number: int, kind: FailureKind, why: str) -> Self:
        """A failure that every other trial would meet as well."""
        if kind == "disk_full":
            error: UserError = StorageFull(folder)
        else:
            go_on = f"Put that right, then go on with: {command('resume', folder)}"
            error = UserError(f"trial {number} cannot be trained: {why}", go_on)
        return cls("interrupted", error.problem, error)

    @classmethod
    def at_the_end(cls, interrupted: bool, no_room: bool) -> Self:
        """No trial is left, or there is no room for those that are, or somebody interrupted."""
        if interrupted:
            return cls("interrupted", "resume goes on with it")
        return cls("completed", NO_ROOM if no_room else "")

    def of(self, study: StudyRecord) -> Self:
        """The same of a study as it stands.

        One without a result has failed, unless its budget ended before any trial did.
        """
        if self.state != "completed":
            return self
        if _unfinished(study):
            why = f"{self.reason}: " if self.reason else ""
            why += "the confirmation has not come to its end"
            return replace(self, state="interrupted", reason=why)
        ended = sum(trial.state in ENDED for trial in study.trials)
        left = len(study.trials) - ended
        reason = f"{ended} trials" + (f", {left} unfinished" if left else "")
        if not study.complete:
            if self.reason and left == len(study.trials):
                return replace(self, state="interrupted", reason=f"{self.reason}; {reason}")
            reason = f"no trial reached full budget: {reason}"
        reason += f"; {self.reason}" if self.reason else ""
        return replace(self, state="completed" if study.complete else "failed", reason=reason)


def _unfinished(study: StudyRecord) -> bool:
    """Whether it is a confirmation that a budget ended before it had chosen, or read test."""
    design = study.settings.get("design")
    if design is None or design["kind"] != "confirm":
        return False
    return not concluded(ConfirmDesign.model_validate(design), study)
