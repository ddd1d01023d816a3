"""A trial as Ray Tune knows it: one after another in one reused actor, which reports on them.

Here the actor trains itself. Where a trial has several workers, see `tuner.run.workers`.
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
"""Keys of what it reports: how far it is; at what it is; at a rung an Evaluation as JSON (Ray
flattens mappings)."""
BEGUN, NODES = "begun", "nodes"
"""And that it begins there, and on which nodes: Ray's id of the one of each of its workers."""
FAILURE, REASON = "failure", "reason"
"""And why it failed, where the worker is sound: the kind, and the reason in words."""

HEARTBEAT_SECONDS = 2.0
"""Longest time without a word to the driver, so that a stop takes effect between two steps."""


class TrialActor(tune.Trainable):
    """Trains the trial it was last given; reports at rungs, and a heartbeat between them."""

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
        """Save what is done of the trial, which goes on no more here: the study is being stopped.

        Returns:
            How far it is, and why it could not be saved, in words.
        """
        return {PAIRS_SEEN: self._pairs_seen, REASON: self._worker.keep()}

    def cleanup(self) -> None:
        """Let go of the trial: no other comes."""
        self._leave()

    def _begin(self, trial: dict[str, Any]) -> None:
        self._pairs_seen = 0
        self._events: Iterator[Event] = self._train(trial)

    def _train(self, trial: dict[str, Any]) -> Iterator[Event]:
        return self._worker.train(trial)

    def _leave(self) -> None:
        """Let go of the trial and of the memory it held."""
        self._events = iter(())
        self._worker.release()

    def _nodes(self) -> list[str]:
        return [this_node()]


def this_node() -> str:
    """Ray's id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())
