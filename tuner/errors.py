"""Errors shown to the user. A message says what was given, what is allowed and what to do."""

from __future__ import annotations

from tuner.shown import without_secrets


class UserError(ValueError):
    """The user's input is wrong. The command line prints it without a traceback and exits with 2.

    The constructor masks passwords in addresses, because messages go to logs and to the journal.

    Args:
        problem: what was given and which rule it breaks.
        remedy: an instruction that solves the problem.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = without_secrets(problem)
        self.remedy = without_secrets(remedy)
        super().__init__(self.problem, self.remedy)

    def __str__(self) -> str:
        return f"{self.problem}\n{self.remedy}" if self.remedy else self.problem


class StorageFull(UserError):
    """The study's storage is full; everything written before is intact.

    Args:
        where: the folder that is full.
    """

    def __init__(self, where: object) -> None:
        super().__init__(
            f"no space is left for {where}", "Free some space or enlarge the storage, then resume."
        )


class StudyFailed(RuntimeError):
    """The study failed (exit code 1): no trial reached the full budget."""


class StudyInterrupted(RuntimeError):
    """The study was interrupted and can be resumed (exit code 130)."""


def nearest(name: str, allowed: list[str]) -> str:
    """Return a hint such as `did you mean 'dlfa'?`, or the allowed names if no name is close."""
    from difflib import get_close_matches

    close = get_close_matches(name[:100], allowed, n=1, cutoff=0.65)
    beside = [other for other in allowed if other.startswith(name.rpartition(".")[0] + ".")]
    if "." in name and beside and not close:
        allowed = beside
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(sorted(allowed))}"
