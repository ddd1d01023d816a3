"""Examples that several tests of this room share."""

from __future__ import annotations

from tests.confirm.examples import confirmed
from tuner.journal.records import StudyRecord

CONTROL = ({"en": 5, "de": 4}, {"en": 5, "de": 5, "es": 4, "ja": 3})


BETTER = ({"en": 7, "de": 6}, {"en": 6, "de": 6, "es": 7, "ja": 6})


def two_arms(**changes: object) -> StudyRecord:
    seeds = {
        "control": [CONTROL, ({"en": 4, "de": 4}, {"en": 5, "de": 5, "es": 4, "ja": 4}), CONTROL],
        "trial 007": [BETTER, BETTER, ({"en": 7, "de": 7}, {"en": 6, "de": 6, "es": 7, "ja": 7})],
    }
    return confirmed(seeds, "trial 007", {"trial 007": 0.95}, **changes)  # type: ignore[arg-type]
