"""The counts of chaos see what they are there to see: each is shown a journal that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checkpoints import Saved
from tests.chaos.faults import Fault
from tests.chaos.retrained import Events
from tests.chaos.study import TRIALS
from tests.chaos.tally import Tally, tally_of_journal

FULL, FIRST = 6400, 1600
INTERVAL = 1000 * 0.5 + 32
ZERO = ("repeated", "lost", "over_interval")


def evaluated(number: int, rung: int, time: float) -> dict[str, Any]:
    evaluation = {"rung": rung, "pairs_seen": rung, "time": time, "pairs_per_second": 1000.0}
    return {"event": "evaluated", "number": number, "time": time, "evaluation": evaluation}


def event(kind: str, number: int, time: float, **values: Any) -> dict[str, Any]:
    return {"event": kind, "number": number, "time": time, **values}


def trial(number: int) -> Events:
    """From its beginning to its end; it takes seven seconds."""
    at = 10.0 * number
    return [
        event("trial_created", number, at),
        event("trial_started", number, at),
        evaluated(number, FIRST, at + 2),
        evaluated(number, FULL, at + 7),
        event("trial_ended", number, at + 7, state="completed", reason=""),
    ]


def journal(*middle: dict[str, Any], without: int = 0) -> Events:
    """A study whose trial 0 is followed by these events, and has not its last ones."""
    first = trial(0)
    others = [line for number in range(1, TRIALS) for line in trial(number)]
    created = {"event": "study_created", "time": 0.0, "rungs": [FIRST, FULL]}
    ended = {"event": "driver_ended", "time": 99.0, "state": "completed"}
    return [created, *first[: len(first) - without], *middle, *others, ended]


def went_on(pairs: int) -> Events:
    """Trial 0 was killed at 3.5 s, after its first rung, and goes on at so many pairs."""
    return [
        event("trial_started", 0, 8.0),
        event("trial_restored", 0, 8.5, pairs_seen=pairs),
        evaluated(0, FULL, 9.5),
        event("trial_ended", 0, 9.6, state="completed", reason=""),
    ]


def killed(pairs: int, saved_at: float, torn: int | None = None) -> Fault:
    return Fault("killed", 3.5, 4, {0: Saved(pairs, saved_at)}, torn)


def zeros(found: Tally) -> dict[str, int]:
    return {name: getattr(found, name) for name in ZERO if getattr(found, name)}


def test_a_study_that_nothing_befell_is_all_zeros() -> None:
    found = tally_of_journal(journal(), [], {(0, FIRST): {2.0}})
    assert (found.finished, found.expected, found.retrained) == (TRIALS, TRIALS, 0)
    assert found.interval == INTERVAL
    assert found.wrong == []


def test_what_a_kill_costs_is_counted() -> None:
    """Saved at 3.0 s, killed at 3.5 s, a quarter of a second for writing: 250 pairs at most."""
    found = tally_of_journal(journal(*went_on(2400), without=2), [killed(2400, 3.0)], {})
    assert found.wrong == []
    assert found.retrained == 250


@pytest.mark.parametrize(("pairs", "over"), [(3200, 0), (1600, 1)], ids=["saved", "not saved"])
def test_a_driver_that_ended_in_order_has_nothing_trained_again(pairs: int, over: int) -> None:
    """However little that is: an interval is allowed to what dies."""
    progressed = {"event": "progressed", "time": 3.6, "pairs_seen": {"0": 3200, "1": 6400}}
    interrupted = event("trial_ended", 0, 3.7, state="interrupted", reason="")
    events = journal(progressed, interrupted, *went_on(pairs), without=2)
    numbered = [{**line, "n": number} for number, line in enumerate(events)]
    stopped = Fault("stopped", 3.5, 4, {0: Saved(pairs, 3.4)}, orderly=True)
    found = tally_of_journal(numbered, [stopped], {})
    assert (found.over_interval, found.retrained) == (over, 3200 - pairs)


@pytest.mark.parametrize(
    ("events", "faults", "seen", "expected"),
    [
        (journal(without=1), [], {}, {"lost": 1}),
        (journal(event("trial_ended", 0, 8, state="failed", reason="")), [], {}, {"lost": 1}),
        (journal(evaluated(0, FULL, 8.0)), [], {}, {"repeated": 1}),
        (journal(event("trial_created", 0, 8.0)), [], {}, {"repeated": 1}),
        (journal(event("trial_started", 0, 8.0)), [], {}, {"repeated": 1}),
        (journal(), [], {(0, FIRST): {2.0, 5.0}}, {"repeated": 1}),
        (  # back behind a rung that was journalled, and behind what was saved
            journal(*went_on(0), without=2),
            [killed(2400, 3.0)],
            {},
            {"repeated": 1, "over_interval": 1},
        ),
        (  # the last checkpoint before the kill was too old
            journal(*went_on(1600), without=2),
            [killed(1600, 2.0)],
            {},
            {"over_interval": 1},
        ),
        (journal(*went_on(2400), without=2), [], {}, {"over_interval": 1}),  # why, then?
        (  # a torn checkpoint may cost its own interval, and nothing more
            journal(*went_on(1600), without=2),
            [killed(1600, 2.3, torn=0)],
            {(0, FIRST): {2.0, 9.0}},
            {},
        ),
    ],
    ids=[
        "not ended",
        "failed",
        "a rung twice",
        "created twice",
        "started again",
        "trained twice",
        "from the beginning",
        "saved too rarely",
        "no fault",
        "a torn checkpoint",
    ],
)
def test_what_is_wrong_is_seen(
    events: Events,
    faults: list[Fault],
    seen: dict[tuple[int, int], set[float]],
    expected: dict[str, int],
) -> None:
    assert zeros(tally_of_journal(events, faults, seen)) == expected


def test_a_trial_that_pauses_and_resumes_where_it_was_costs_nothing() -> None:
    """It may also rest at the end; one that went back, or was not resumed, is counted."""
    for restored, repeated in ((FIRST, 0), (0, 1)):
        paused = [
            event("trial_paused", 0, 2.1, reason=""),
            event("trial_resumed", 0, 7.0, reason=""),
            *went_on(restored),
        ]
        events = [{**e, "n": n} for n, e in enumerate(journal(*paused, without=2))]
        found = tally_of_journal(events, [], {(0, FIRST): {2.0}})
        assert found.finished == TRIALS
        assert found.repeated == repeated and found.over_interval == repeated
    resting = [event("trial_paused", 0, 2.1, reason="")]
    found = tally_of_journal(journal(*resting, without=2), [], {(0, FIRST): {2.0}})
    assert found.finished == TRIALS and found.wrong == []
