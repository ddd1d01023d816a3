"""The cost of interruptions: pairs that were trained, lost, and trained again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.study import EVERY_SECONDS, PAIRS_A_STEP

WRITING = 0.25
"""Seconds that writing a checkpoint may take on a busy machine; none is trained in them."""
SET_UP = 1.0
"""Seconds in which a trial that was just started builds its model, before it trains."""

Events = list[dict[str, Any]]


def interval(events: Events) -> int:
    """Pairs that are trained at most between two checkpoints: one by time, and a step."""
    speeds = [e["evaluation"]["pairs_per_second"] for e in events if e["event"] == "evaluated"]
    return round(max(speeds, default=0.0) * EVERY_SECONDS) + PAIRS_A_STEP


def losses(events: Events, faults: Sequence[Fault]) -> list[tuple[int, int, str]]:
    """For each attempt that went on from an earlier one: pairs trained again, allowed, and where.

    Pairs trained again are at most what can be trained from the checkpoint that it went on from
    up to the fault, and at most up to the next rung, where there would be another checkpoint.
    Where it did not go on from the newest sound checkpoint, the pairs in between are added.
    Where the driver could end in order, it is nothing.
    """
    found = []
    numbers = {event["number"] for event in events if event["event"] == "trial_started"}
    for number in sorted(numbers):
        attempts = _attempts(events, number)
        trained = attempts[0]
        for attempt in attempts[1:]:
            restored = next((e for e in attempt if e["event"] == "trial_restored"), None)
            if restored is not None:
                found.append(_loss(events, number, trained, restored, faults))
                trained = attempt
            elif any(event["event"] == "evaluated" for event in attempt):
                found.append((1, 0, f"trial {number} does not say from where it went on"))
    return found


def _loss(
    events: Events,
    number: int,
    trained: Events,
    restored: dict[str, Any],
    faults: Sequence[Fault],
) -> tuple[int, int, str]:
    """Return where the attempt that `trained` stood, as the one that was `restored` found it."""
    if any(event["event"] == "trial_resumed" for event in trained):  # it rested at a rung
        known, pairs = _known(events, number, trained), restored["pairs_seen"]
        torn = any(fault.torn == number for fault in faults)
        return max(0, known - pairs), known * torn, f"trial {number} resumed at {pairs} of {known}"
    fault = _fault_of(trained, faults)
    if fault is None:
        return 1, 0, f"trial {number} was restored without a fault"
    pairs, rungs = restored["pairs_seen"], events[0]["rungs"]
    if fault.orderly:
        known = _known(events, number, trained)
        return max(0, known - pairs), 0, f"trial {number} went on at {pairs} of {known}"
    saved = fault.saved.get(number)
    began = [e["time"] for e in trained if e["event"] == "trial_restored"]
    since = began[0] if began else trained[0]["time"] + SET_UP
    if saved is not None:
        since = max(since, saved.time + WRITING)
    allowed = interval(events)
    kept = saved.pairs if saved is not None else 0
    next_rung = min((rung for rung in rungs if rung > kept), default=kept)
    speed = (allowed - PAIRS_A_STEP) / EVERY_SECONDS
    lost = min(max(0.0, fault.time - since) * speed, next_rung - kept) + max(0, kept - pairs)
    if fault.torn == number:  # the torn checkpoint's interval, and that of the fault
        allowed *= 2
    where = f"trial {number} went on at {pairs}, saved were {kept} ({fault.what})"
    return round(lost), allowed, where


def _known(events: Events, number: int, trained: Events) -> int:
    """Return how far an attempt was, as the driver journalled at its end."""
    since, until = trained[0]["n"], trained[-1]["n"]
    within = [event for event in events if since <= event["n"] <= until]
    pairs = [e["pairs_seen"].get(str(number), 0) for e in within if e["event"] == "progressed"]
    pairs += [e["evaluation"]["pairs_seen"] for e in trained if e["event"] == "evaluated"]
    return max(pairs, default=0)


def _attempts(events: Events, number: int) -> list[Events]:
    """A trial's events from each of its starts on."""
    found: list[Events] = []
    for event in events:
        if event.get("number") == number and event["event"] == "trial_started":
            found.append([])
        if event.get("number") == number and found:
            found[-1].append(event)
    return found


def _fault_of(trained: Events, faults: Sequence[Fault]) -> Fault | None:
    """Return the fault that ended an attempt: the last before it failed, or the first that came."""
    after = [fault for fault in faults if fault.time > trained[0]["time"]]
    failed = [event["time"] for event in trained if event["event"] == "attempt_failed"]
    if failed:
        return next((fault for fault in reversed(faults) if fault.time < failed[0]), None)
    return after[0] if after else None
