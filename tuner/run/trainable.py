"""The Ray Tune trainable: a reused actor that runs one trial after another and reports on them.

Here the actor itself trains. For trials of several workers see `tuner.run.workers`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import ray
from ray import tune

from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.encoder import PretrainedEncoder
from tuner.progress import Phase
from tuner.run.worker import Event, Failed, Worker
from tuner.study import StudyConfig
from tuner.study.protocol import Protocol
from tuner.training.loop import Begun, Step

PAIRS_SEEN, PHASE, EVALUATION = "pairs_seen", "phase", "evaluation"
"""Keys of the actor's reports: pairs seen so far, the phase it is in, and at a rung an Evaluation
as JSON (Ray flattens mappings)."""
BEGUN, NODES = "begun", "nodes"
"""Keys of the report with which a trial begins: True, and Ray's id of each worker's node."""
FAILURE, REASON = "failure", "reason"
"""Keys of the report that a trial failed while its worker is sound: the kind, and the reason in
words."""

HEARTBEAT_SECONDS = 2.0
"""Longest time without a report to the driver, so that a stop takes effect between two steps."""


class TrialActor(tune.Trainable):
    """An actor that trains the trial it was last given; reports at rungs and by heartbeats."""

    def setup(  # type: ignore[override]  # tune.with_parameters adds the others
        self,
        config: dict[str, Any],
        study: StudyConfig,
        protocol: Protocol,
        corpus: TokenisedCorpus,
        encoder: PretrainedEncoder,
    ) -> None:
        self._worker = Worker(study, protocol, corpus, encoder)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self._leave()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train and evaluate up to the next rung, or until the heartbeat is due."""
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        for event in self._events:
            if isinstance(event, Evaluation):
                return {EVALUATION: event.model_dump_json(), PAIRS_SEEN: event.pairs_seen}
            if isinstance(event, Begun):
                self._pairs_seen = event.pairs_seen
                return {BEGUN: True, NODES: self._nodes(), PAIRS_SEEN: event.pairs_seen}
            if isinstance(event, Failed):
                said = {FAILURE: event.kind, REASON: event.reason}
                return {**said, PAIRS_SEEN: self._pairs_seen, "done": True}
            if isinstance(event, Step):
                self._pairs_seen = event.pairs_seen
            if time.monotonic() > deadline:
                phase: Phase = "training" if isinstance(event, Step) else "evaluating"
                return {PAIRS_SEEN: self._pairs_seen, PHASE: phase}
        return {PAIRS_SEEN: self._pairs_seen, "done": True}

    def keep(self) -> dict[str, Any]:
        """Save the trial's progress, since the study is being stopped; it trains no further here.

        Returns:
            The pairs seen, and in words why the trial could not be saved; empty if it was.
        """
        return {PAIRS_SEEN: self._pairs_seen, REASON: self._worker.keep()}

    def cleanup(self) -> None:
        """Release the last trial."""
        self._leave()

    def _begin(self, trial: dict[str, Any]) -> None:
        self._pairs_seen = 0
        self._events: Iterator[Event] = self._train(trial)

    def _train(self, trial: dict[str, Any]) -> Iterator[Event]:
        return self._worker.train(trial)

    def _leave(self) -> None:
        """Release the trial and the memory it held."""
        self._events = iter(())
        self._worker.release()

    def _nodes(self) -> list[str]:
        return [this_node()]


def this_node() -> str:
    """Return Ray's id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())
