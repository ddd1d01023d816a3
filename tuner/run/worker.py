"""The worker: a process that trains one trial after another, alone or as one of a group.

It receives arrays and settings, and never touches a tokenizer, a hub or MLflow.
"""

from __future__ import annotations

import gc
import platform
from collections.abc import Iterator

import torch

from tuner.errors import StorageFull, UserError
from tuner.journal.records import Evaluation, FailureKind
from tuner.run.messages import Failed, Kept, TrialStart
from tuner.study import StudyConfig
from tuner.study.parts import ResourcesConfig
from tuner.training.accumulation import OutOfMemory
from tuner.training.checkpoint import Checkpoints
from tuner.training.evaluation import Evaluating
from tuner.training.group import ALONE, join
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Begun, Step, train
from tuner.training.losses import NonFiniteLoss

Event = Begun | Step | Evaluating | Evaluation | Failed


class Worker:
    """A process that trains, with the device, threads and share of memory that it is given.

    Args:
        study: the study's settings: its resources, rungs and folders.
        inputs: what all trials share; the arrays may be read-only.
    """

    def __init__(self, study: StudyConfig, inputs: TrialInputs) -> None:
        self._study = study
        self._inputs = inputs
        self._pairs_seen = 0  # by the running trial
        self._group = ALONE
        self._saved: Checkpoints | None = None  # of the running trial
        self._device = device_given(study.resources)
        gc.collect()
        gc.freeze()  # scanning the libraries' objects, which stay, would take 0.3 s each time

    def join(self, rank: int, address: str, port: int) -> None:
        """Join the trial's group of `resources.workers`; returns when all have joined."""
        self._group = join(rank, self._study.resources.workers, address, port, self._device)

    def train(self, start: TrialStart) -> Iterator[Event]:
        """Train a trial, from its checkpoint where there is one.

        Yields:
            The events of the loop; `Failed` at the end if the trial failed and the worker is
            healthy.
        """
        folder = self._study.trial_folder(start.number)
        saved = self._saved = Checkpoints(folder, self._study.checkpoint.every_seconds)
        try:
            for event in train(
                start.config,
                self._study.rungs_of(start.config),
                self._inputs,
                self._device,
                saved if self._group.rank == 0 else None,
                start.micro_size,
                self._group,
                self._study.diagnostics.probed_pairs,
            ):
                if isinstance(event, Begun | Step):
                    self._pairs_seen = event.pairs_seen
                yield event
        except (NonFiniteLoss, OutOfMemory, UserError) as error:
            yield Failed(_kind(error), " ".join(str(error).split()), self._pairs_seen)

    def keep(self) -> Kept:
        """Save the running trial's progress."""
        complaint = ""
        try:
            if self._saved is not None:
                self._saved.keep()
        except (NonFiniteLoss, UserError) as error:
            complaint = " ".join(str(error).split())
        return Kept(self._pairs_seen, complaint)

    def release(self) -> None:
        """Free the memory of a released trial."""
        self._saved = None
        self._pairs_seen = 0
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
