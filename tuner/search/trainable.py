"""What runs on a worker: one trial after another in one reused Ray actor.

A worker is handed arrays and settings; it never touches a tokenizer, a hub or MLflow.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from tuner.config import TrialConfig
from tuner.data.tokens import TokenisedCorpus
from tuner.errors import StorageFull, UserError
from tuner.model.encoder import PretrainedEncoder
from tuner.progress import Phase
from tuner.protocol import Protocol
from tuner.records import Evaluation, FailureKind
from tuner.study import StudyConfig
from tuner.training.accumulation import OutOfMemory
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.loop import Begun, NonFiniteLoss, Step, train

NUMBER, CONFIG, MICRO_SIZE = "number", "config", "micro_size"
"""Keys of what a trial is sent: its number, its TrialConfig as plain values, and how many pairs a
forward pass may hold."""
PAIRS_SEEN, BEGUN, PHASE, EVALUATION = "pairs_seen", "begun", "phase", "evaluation"
"""Keys of what it reports: how far it is; that it begins there; at what it is; at a rung an
Evaluation as JSON (Ray flattens mappings)."""
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
        self._study = study
        self._protocol = protocol
        self._corpus = corpus
        self._encoder = encoder
        on_gpu = study.resources.gpus_per_trial > 0
        self._device = torch.device("cuda" if on_gpu else "cpu")
        torch.set_num_threads(max(1, int(study.resources.cpus_per_trial)))
        self._events: Iterator[Begun | Step | Evaluating | Evaluation] = iter(())
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self.cleanup()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train and evaluate up to the next rung, or until the heartbeat is due."""
        deadline = time.monotonic() + HEARTBEAT_SECONDS
        try:
            for event in self._events:
                if isinstance(event, Evaluation):
                    return {EVALUATION: event.model_dump_json(), PAIRS_SEEN: event.pairs_seen}
                if isinstance(event, Begun):
                    self._pairs_seen = event.pairs_seen
                    return {BEGUN: True, PAIRS_SEEN: event.pairs_seen}
                if isinstance(event, Step):
                    self._pairs_seen = event.pairs_seen
                if time.monotonic() > deadline:
                    phase: Phase = "training" if isinstance(event, Step) else "evaluating"
                    return {PAIRS_SEEN: self._pairs_seen, PHASE: phase}
        except (NonFiniteLoss, OutOfMemory, UserError) as error:
            self._events = iter(())
            said = {FAILURE: _kind(error), REASON: " ".join(str(error).split())}
            return {**said, PAIRS_SEEN: self._pairs_seen, "done": True}
        return {PAIRS_SEEN: self._pairs_seen, "done": True}

    def cleanup(self) -> None:
        """Let go of the trial and of the memory it held."""
        self._events = iter(())
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _begin(self, config: dict[str, Any]) -> None:
        self._pairs_seen = 0
        folder = self._study.trial_folder(config[NUMBER])
        self._events = train(
            TrialConfig.model_validate(config[CONFIG]),
            self._study.rungs,
            self._protocol,
            self._corpus,
            self._encoder,
            self._device,
            Checkpoints(folder, self._study.checkpoint.every_seconds),
            config[MICRO_SIZE],
        )


def _kind(error: NonFiniteLoss | OutOfMemory | UserError) -> FailureKind:
    match error:
        case NonFiniteLoss():
            return "non_finite"
        case OutOfMemory():
            return "infeasible"
        case StorageFull():
            return "disk_full"
        case _:
            return "user_error"
