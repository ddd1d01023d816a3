"""The claim that a study's scores support."""

from __future__ import annotations

from tuner.journal.facts import StudyFacts
from tuner.study.design import ConfirmDesign
from tuner.study.settings import StudySettings


def chosen_before(settings: StudySettings) -> int:
    """Return how many trials of the search a user had added or stopped, for its confirmation."""
    return settings.design.by_hand if isinstance(settings.design, ConfirmDesign) else 0


def claim_of(facts: StudyFacts, by_hand: int) -> str:
    """Return the claim that a study's scores support.

    Args:
        facts: what is known about its data.
        by_hand: the number of trials of the search that a user added or stopped while it ran.
    """
    if not by_hand:
        return facts.claim
    trials = f"{by_hand} trial{'s' * (by_hand > 1)}"
    return f"{facts.claim}; a user added or stopped {trials} of the search by hand"
