"""The claim that a study's scores support."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.journal.facts import StudyFacts
from tuner.study.design import ConfirmDesign
from tuner.study.settings import StudySettings
from tuner.wording import count


def chosen_before(settings: StudySettings) -> int:
    """Return how many trials of the search a user had added or stopped, for its confirmation."""
    return settings.design.by_hand if isinstance(settings.design, ConfirmDesign) else 0


def claim_of(facts: StudyFacts, by_hand: int, read_before: Sequence[str] = ()) -> str:
    """Return the claim that a study's scores support.

    Args:
        facts: what is known about its data.
        by_hand: the number of trials of the search that a user added or stopped while it ran.
        read_before: earlier readings of its test.
    """
    parts = [facts.claim]
    if by_hand:
        trials = count(by_hand, "trial")
        parts.append(f"a user added or stopped {trials} of the search by hand")
    if read_before:
        parts.append(f"this test was read {count(len(read_before), 'time')} before")
    return "; ".join(parts)
