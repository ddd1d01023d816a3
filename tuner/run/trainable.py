"""The Ray Tune trainable: a reused actor that runs one trial after another and reports on them.

Here the actor itself trains. For trials of several workers see `tuner.run.workers`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, assert_never

import ray
from ray import tune
from ray.tune.result import DONE

from tuner.journal.records import Evaluation
from tuner.progress import Phase
from tuner.run.messages import (
    REPORT,
    AtRung,
    Failed,
    Finished,
    Heartbeat,
    Kept,
    Report,
    Started,
    TrialStart,
    start_in,
)
from tuner.run.worker import Event, Worker
from tuner.study import StudyConfig
from tuner.training.evaluation import Evaluating
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Begun, Step

HEARTBEAT_SECONDS = 2.0
"""Longest time without a report to the driver, so that a stop takes effect between two steps."""


class TrialActor(tune.Trainable):
    """An actor that trains the trial it was last given; reports at rungs and by heartbeats."""

    def setup(  # type: ignore[override]  # tune.with_parameters adds the others
        self, config: dict[str, Any], study: StudyConfig, inputs: TrialInputs
    ) -> None:
        self._worker = Worker(study, inputs)
        self._begin(start_in(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self._leave()
        self._begin(start_in(new_config))
        return True

    def step(self) -> dict[str, Any]:
        """Train and evaluate up to the next report."""
        report = self._report()
        return {REPORT: report, DONE: isinstance(report, Failed | Finished)}

    def keep(self) -> Kept:
        """Save the trial's progress, since the study is being stopped; it trains no further."""
        return self._worker.keep()

    def cleanup(self) -> None:
        """Release the last trial."""
        self._leave()

    def _begin(self, start: TrialStart) -> None:
        self._pairs_seen = 0
        self._events: Iterator[Event] = self._train(start)

    def _train(self, start: TrialStart) -> Iterator[Event]:
        return self._worker.train(start)

    def _report(self) -> Report:
        """Train and evaluate up to the next rung, or until the heartbeat is due."""
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        for event in self._events:
            phase: Phase
            match event:
                case Begun():
                    self._pairs_seen = event.pairs_seen
                    return Started(event.pairs_seen, tuple(self._nodes()))
                case Evaluation():
                    return AtRung(event)
                case Failed():
                    return event
                case Step():
                    self._pairs_seen, phase = event.pairs_seen, "training"
                case Evaluating():
                    phase = "evaluating"
                case _:
                    assert_never(event)
            if time.monotonic() > deadline:
                return Heartbeat(self._pairs_seen, phase)
        return Finished()

    def _leave(self) -> None:
        """Release the trial and the memory it held."""
        self._events = iter(())
        self._worker.release()

    def _nodes(self) -> list[str]:
        return [this_node()]


def this_node() -> str:
    """Return Ray's id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())
