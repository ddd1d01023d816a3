"""The worker: a process that trains one trial after another, alone or as one of a group.

It receives arrays and settings, and never touches a tokenizer, a hub or MLflow.
"""

from __future__ import annotations

import gc
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from tuner.data.tokens import TokenisedCorpus
from tuner.errors import StorageFull, UserError
from tuner.journal.records import Evaluation, FailureKind
from tuner.model.encoder import PretrainedEncoder
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig
from tuner.study.protocol import Protocol
from tuner.study.trial import TrialConfig
from tuner.training.accumulation import OutOfMemory
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.group import ALONE, join
from tuner.training.loop import Begun, Step, train
from tuner.training.losses import NonFiniteLoss

NUMBER, CONFIG, MICRO_SIZE = "number", "config", "micro_size"
"""Keys of the message that starts a trial: its number, its TrialConfig as plain values, and how
many pairs a forward pass may hold."""


@dataclass(frozen=True)
class Failed:
    """The failure of a trial whose worker is sound: its kind, and the reason in words."""

    kind: FailureKind
    reason: str


Event = Begun | Step | Evaluating | Evaluation | Failed


class Worker:
    """A process that trains, with the device, threads and share of memory that it is given.

    Args:
        study: the study's settings: its resources, rungs and folders.
        protocol: the languages that are trained on and evaluated.
        corpus: the pairs; the arrays may be read-only.
        encoder: the encoder that training starts from; its arrays may be read-only.
    """

    def __init__(
        self,
        study: StudyConfig,
        protocol: Protocol,
        corpus: TokenisedCorpus,
        encoder: PretrainedEncoder,
    ) -> None:
        self._study = study
        self._inputs = (protocol, corpus, encoder)
        self._group = ALONE
        self._saved: Checkpoints | None = None  # of the running trial
        self._device = device_given(study.resources)
        gc.collect()
        gc.freeze()  # scanning the libraries' objects, which stay, would take 0.3 s each time

    def join(self, rank: int, address: str, port: int) -> None:
        """Join the trial's group of `resources.workers`; returns when all have joined."""
        self._group = join(rank, self._study.resources.workers, address, port, self._device)

    def train(self, trial: dict[str, Any]) -> Iterator[Event]:
        """Train a trial, from its checkpoint where there is one.

        Args:
            trial: the message with the keys above.

        Yields:
            The events of the loop; `Failed` at the end if the trial failed and the worker is sound.
        """
        folder = self._study.trial_folder(trial[NUMBER])
        saved = self._saved = Checkpoints(folder, self._study.checkpoint.every_seconds)
        try:
            config = TrialConfig.model_validate(trial[CONFIG])
            yield from train(
                config,
                self._study.rungs_of(config),
                *self._inputs,
                self._device,
                saved if self._group.rank == 0 else None,
                trial[MICRO_SIZE],
                self._group,
                self._study.diagnostics.probed_pairs,
            )
        except (NonFiniteLoss, OutOfMemory, UserError) as error:
            yield Failed(_kind(error), " ".join(str(error).split()))

    def keep(self) -> str:
        """Save the running trial's progress; return why that failed in words, or an empty text."""
        try:
            if self._saved is not None:
                self._saved.keep()
        except (NonFiniteLoss, UserError) as error:
            return " ".join(str(error).split())
        return ""

    def release(self) -> None:
        """Free the memory of a trial that nobody holds any more."""
        self._saved = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def device_given(resources: ResourcesConfig) -> torch.device:
    """Return this process's device; set its threads and GPU memory to a worker's share.

    Raises:
        UserError: Ray gave it a GPU that torch cannot use.
    """
    device = device_of(resources.gpus_per_trial)
    torch.set_num_threads(resources.threads)
    if 0 < resources.gpus_per_trial < 1:
        # Beyond this fraction torch runs out of memory, since the rest is another trial's. The
        # some hundred MB that CUDA itself takes in each process are not counted.
        torch.cuda.set_per_process_memory_fraction(resources.gpus_per_trial)
    return device


def device_of(gpus: float) -> torch.device:
    """Return the device of a worker that was given this many GPUs, or this share of one.

    Raises:
        UserError: the worker was given a GPU that torch cannot use. It does not fall back to a CPU.
    """
    if gpus > 0 and not torch.cuda.is_available():
        raise UserError(
            f"Ray gave a trial a GPU on {platform.node()}, but torch cannot use any there",
            "Check the driver and the build of torch on that node; `tuner doctor` reports both.",
        )
    return torch.device("cuda" if gpus > 0 else "cpu")


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
