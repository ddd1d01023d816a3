"""The counts after a study has ended, from the journal's lines, the disk and MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.checkpoints import Witness
from tests.chaos.faults import Fault
from tests.chaos.retrained import Events, interval, losses
from tests.chaos.study import TRIALS, Study

END_STATES = ("completed", "pruned", "failed")

Evaluated = Mapping[tuple[int, int], set[float]]
"""When each (trial, rung) was evaluated, as a witness saw it."""


@dataclass
class Tally:
    """The outcome of one study, or the sum over all studies that had one kind of fault."""

    faults: int = 0
    expected: int = 0
    finished: int = 0
    repeated: int = 0
    lost: int = 0
    retrained: int = 0
    interval: int = 0
    over_interval: int = 0
    runs_expected: int = 0
    runs_duplicate: int = 0
    runs_stuck: int = 0
    points_wrong: int = 0
    scores_wrong: int = 0
    left_over: int = 0
    gave_up: int = 0
    wrong: list[str] = field(default_factory=list)

    def found(self, count: str, what: str) -> None:
        """One more of something that should be zero, and the evidence."""
        setattr(self, count, getattr(self, count) + 1)
        self.wrong.append(f"{count}: {what}")

    def add(self, other: Tally) -> None:
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name == "interval" else mine + value)


def tally(study: Study, faults: Sequence[Fault], witness: Witness, store: str) -> Tally:
    """Count what a study came to; `store` is MLflow's database."""
    events = study.events()
    found = tally_of_journal(events, faults, witness.evaluated)
    torn = any(fault.what.startswith("journal") for fault in faults)
    _mlflow(found, events, store, torn)
    return found


def tally_of_journal(events: Events, faults: Sequence[Fault], evaluated: Evaluated) -> Tally:
    """Count all but what is in MLflow; `evaluated` is what the witness saw."""
    found = Tally(faults=len(faults), expected=TRIALS, runs_expected=TRIALS + 1)
    _trials(found, events)
    _repeated(found, events, faults, evaluated)
    found.interval = interval(events)
    for lost, allowed, where in losses(events, faults):
        found.retrained += lost
        if lost > allowed:
            found.found("over_interval", f"{where}: {lost} pairs again, allowed {allowed}")
    return found


def of(events: Events, kind: str) -> Events:
    """The events of a kind."""
    return [event for event in events if event["event"] == kind]


def _trials(found: Tally, events: Events) -> None:
    ended: dict[int, dict[str, Any]] = {}
    for event in events:
        match event["event"]:
            case "trial_ended" if event["state"] in END_STATES:
                ended[event["number"]] = event
            case "trial_paused":
                ended[event["number"]] = {**event, "state": "paused"}
            case "trial_resumed":
                ended.pop(event["number"], None)
    created = Counter(event["number"] for event in of(events, "trial_created"))
    for number in range(TRIALS):
        state = ended.get(number, {"state": "not ended", "reason": ""})
        if created[number] > 1:
            found.found("repeated", f"trial {number} was created {created[number]} times")
        if created[number] and state["state"] in ("completed", "pruned", "paused"):
            found.finished += 1
        else:
            found.found("lost", f"trial {number} is {state['state']} {state['reason']}")
    for number in set(created) - set(range(TRIALS)):
        found.found("lost", f"trial {number} is one too many")
    last = of(events, "driver_ended")[-1:]
    if not last or last[0]["state"] != "completed":
        found.found("lost", f"the study ended as {last}")


def _repeated(
    found: Tally,
    events: Events,
    faults: Sequence[Fault],
    evaluated: Mapping[tuple[int, int], set[float]],
) -> None:
    """Return what was journalled and trained again although no checkpoint of it had been torn."""
    times: dict[tuple[int, int], float] = {}
    ended: set[int] = set()
    reached: Counter[int] = Counter()  # by trial: pairs at its last journalled rung
    torn = {(fault.torn, fault.record) for fault in faults}
    for record, event in enumerate(events):
        number = event.get("number", -1)
        for trial in [trial for trial, since in torn if since == record and trial is not None]:
            reached[trial] = 0  # from here on it may go back to the checkpoint before
        match event["event"]:
            case "evaluated":
                rung = event["evaluation"]["rung"]
                if (number, rung) in times:
                    found.found("repeated", f"trial {number} at {rung} pairs is journalled twice")
                times[number, rung] = event["evaluation"]["time"]
                reached[number] = max(reached[number], event["evaluation"]["pairs_seen"])
            case "trial_ended" if event["state"] in END_STATES:
                ended.add(number)
            case "trial_resumed":
                ended.discard(number)
            case "trial_started" if number in ended:
                found.found("repeated", f"trial {number} had ended and was started again")
            case "trial_restored" if event["pairs_seen"] < reached[number]:
                back = f"went back to {event['pairs_seen']} of {reached[number]} pairs"
                found.found("repeated", f"trial {number} {back}, which were journalled")
    excused = {fault.torn for fault in faults}
    for (number, rung), seen in evaluated.items():
        again = seen - {times.get((number, rung))}
        if (number, rung) in times and again and number not in excused:
            found.found("repeated", f"trial {number} was evaluated at {rung} more than once")


def _mlflow(found: Tally, events: Events, store: str, torn: bool) -> None:
    """Runs and points against the journal.

    Where a record of the journal was torn after MLflow had been told of it, the trial is evaluated
    again: the same point, of another time, which MLflow keeps beside the first.
    """
    from mlflow import MlflowClient

    if not events:
        return
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("tuner")
    if experiment is None:
        found.found("points_wrong", "MLflow knows no experiment")
        return
    study = f"tags.`tuner.study_id` = '{events[0]['id']}'"
    runs: dict[str, list[Any]] = {}
    for run in client.search_runs([experiment.experiment_id], study):
        runs.setdefault(run.data.tags.get("tuner.trial", "study"), []).append(run)
        if run.info.status == "RUNNING":
            found.found("runs_stuck", f"run {run.info.run_name} is RUNNING")
    for name, same in runs.items():
        for _ in same[1:]:
            found.found("runs_duplicate", f"run of trial {name}")
    if len(runs) != found.runs_expected:
        found.found("points_wrong", f"runs in MLflow: {sorted(runs)}")
    wanted = {str(number): list[tuple[int, float]]() for number in range(TRIALS)}
    for event in of(events, "evaluated"):
        evaluation = event["evaluation"]
        wanted[str(event["number"])].append((evaluation["pairs_seen"], evaluation["objective"]))
    for name, points in wanted.items():
        for run in runs.get(name, []):
            history = client.get_metric_history(run.info.run_id, "select/objective")
            there = sorted((point.step, point.value) for point in history)
            told = sorted(set(there)) if torn else there
            if told != sorted(points):
                found.found("points_wrong", f"trial {name}: {there}, journalled {sorted(points)}")
