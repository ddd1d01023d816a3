"""Checkpoints: everything a trial needs to resume bit-equal, in safetensors and JSON.

A checkpoint is a folder `step-N` with `model.safetensors`, `optimizer.safetensors`, `progress.json`
and `manifest.json`, which holds the sha256 of the other three. A folder without a manifest does not
count. Two checkpoints are kept: if the last one is damaged, the trial resumes from the previous
one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from tuner.errors import StorageFull, UserError
from tuner.journal.records import Evaluation
from tuner.storage.folders import Place, fetched, names_in, remove, written
from tuner.training.group import Group

MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.safetensors", "progress.json"
MANIFEST = "manifest.json"
NAME = re.compile(r"step-\d{9}")
LARGEST_JSON = 2**26
"""Most bytes of a JSON file; larger ones are not read."""
DAMAGE = (FileNotFoundError, NotADirectoryError, ValueError, SafetensorError)
"""The exceptions raised by reading a checkpoint that is incomplete or not one of ours."""

TrainingState = tuple[nn.Module, Optimizer, "TrialProgress"]
"""The parts of a trial that are saved."""
_SUMS = TypeAdapter(dict[str, str])


class TrialProgress(BaseModel):
    """The progress of a trial. It needs no generator state: random numbers depend on seed and step.

    Attributes:
        fingerprint: a hash of everything that determines the trial; a checkpoint with a different
            one is refused.
        step: optimizer steps done.
        micro_plan: (first step, pairs of a forward pass) for every size so far.
        loss_sum: sum of the losses since the last evaluation.
        train_seconds: seconds of training, without evaluation.
        evaluations: the evaluations so far, in order.
    """

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    micro_plan: list[tuple[int, int]] = Field(min_length=1)
    step: int = Field(0, ge=0)
    loss_sum: float = 0.0
    train_seconds: float = 0.0
    evaluations: list[Evaluation] = []


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint, read back to the CPU."""

    progress: TrialProgress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]

    def restore(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Copy weights and optimizer state into place.

        Args:
            model: the trial's model.
            optimizer: the trial's optimizer, with a state for every parameter that had one.

        Raises:
            UserError: the names, shapes or types of the tensors differ from the trial's.
        """
        pairs = [(model.state_dict(), self.weights), (_state(optimizer), self.optimizer)]
        for own, saved in pairs:
            if _shapes(own) != _shapes(saved):
                raise UserError(
                    f"the checkpoint at step {self.progress.step:,} was changed: its tensors "
                    "differ from its trial's",
                    "Remove it; the trial then starts from the beginning.",
                )
        for own, saved in pairs:
            for name, tensor in own.items():
                tensor.detach().copy_(saved[name])


class Checkpoints:
    """The checkpoints of one trial, of which the two latest are kept.

    Args:
        folder: the trial's own folder, made when it is first needed.
        every_seconds: the most training time that an interruption may cost.
    """

    def __init__(self, folder: Place, every_seconds: float) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self._saved = time.monotonic()
        self._whole: str | None = None  # the name of the latest known to be whole
        self._state: Callable[[], TrainingState] | None = None

    def follow(self, state: Callable[[], TrainingState]) -> None:
        """Register a function that returns the trial's state, for `keep` to call between events."""
        self._state = state

    def keep(self) -> None:
        """Save the trial's state if it has advanced since it was last saved.

        Raises:
            StorageFull: no space is left; earlier checkpoints stay.
            NonFiniteLoss: the trial has diverged, which shows only now that its losses are read.
        """
        if self._state is None:
            return
        model, optimizer, progress = self._state()
        if progress.step > 0 and name_of(progress.step) != self._whole:
            self.save(model, optimizer, progress)

    def due(self) -> bool:
        """Return whether the last checkpoint is at least `every_seconds` old."""
        return time.monotonic() - self._saved >= self.every_seconds

    def save(self, model: nn.Module, optimizer: Optimizer, progress: TrialProgress) -> None:
        """Write a checkpoint; then remove all others but the latest whole one before it.

        Raises:
            StorageFull: no space is left; earlier checkpoints stay.
        """
        target = self.folder / name_of(progress.step)
        with written(target, last=MANIFEST) as folder, ThreadPoolExecutor(1) as thread:
            sums: dict[str, Future[str]] = {}  # each computed while the next file is written
            save_file(_contiguous(_state(optimizer)), folder / OPTIMIZER)
            sums[OPTIMIZER] = thread.submit(sha256, folder / OPTIMIZER)
            save_file(_contiguous(model.state_dict()), folder / MODEL)
            sums[MODEL] = thread.submit(sha256, folder / MODEL)
            (folder / PROGRESS).write_text(progress.model_dump_json(), encoding="utf-8")
            sums[PROGRESS] = thread.submit(sha256, folder / PROGRESS)
            manifest = {name: made.result() for name, made in sums.items()}
            (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        for name in names_in(self.folder):
            if name not in (target.name, self._whole):
                with suppress(OSError):  # retried at the next save, or when the trial has ended
                    remove(self.folder / name, first=MANIFEST)
        self._whole = target.name
        self._saved = time.monotonic()

    def latest(self, fingerprint: str) -> Checkpoint | None:
        """Return the latest whole checkpoint, skipping damaged ones; None without a whole one.

        Raises:
            UserError: the checkpoint belongs to another trial.
            StorageFull: no space is left here to fetch the checkpoint from an object store.
        """
        for name in reversed(names_in(self.folder)):
            if not NAME.fullmatch(name):
                continue
            try:
                with fetched(self.folder / name, (MANIFEST, PROGRESS, MODEL, OPTIMIZER)) as folder:
                    checkpoint = _read(folder)
            except StorageFull:  # the disk that it is fetched to is full
                raise
            except DAMAGE:
                continue
            except OSError as error:
                if error.errno != errno.EIO:  # not a disk error: the storage may come back soon
                    raise
                continue
            if checkpoint.progress.fingerprint != fingerprint:
                raise UserError(
                    f"the checkpoint {self.folder / name} belongs to another configuration, "
                    "encoder or corpus",
                    "Give this trial a folder of its own, or remove the checkpoint.",
                )
            self._whole = name
            return checkpoint
        return None


def broadcast_state(
    group: Group, progress: TrialProgress, model: nn.Module, optimizer: Optimizer
) -> TrialProgress:
    """Copy the state that the first worker restored to every worker; return its progress.

    If nothing was restored, no tensor is sent: workers that begin are already equal.
    """
    if group.size == 1:
        return progress
    progress = TrialProgress.model_validate_json(group.broadcast_text(progress.model_dump_json()))
    if progress.step > 0:
        for tensor in (*model.state_dict().values(), *_state(optimizer).values()):
            group.broadcast(tensor)
    return progress


def fingerprint(**parts: Any) -> str:
    """Return the sha256 of the JSON values that determine a trial."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def name_of(step: int) -> str:
    """Return the name of the folder of a checkpoint after `step` optimizer steps."""
    return f"step-{step:09d}"


def sums_in(folder: Path) -> dict[str, str]:
    """Read a checkpoint's manifest: the sha256 of each other file.

    Raises:
        FileNotFoundError: the manifest is missing.
        ValueError: the manifest is damaged.
    """
    return _SUMS.validate_json(_bytes(folder / MANIFEST))


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_covered(path: Path) -> None:
    """Refuse a file of tensors that is longer or shorter than its header says, without reading it.

    Raises:
        SafetensorError: the file's length does not match its header.
    """
    with safe_open(path, framework="pt"):
        pass


def remove_incomplete(folder: Place) -> None:
    """Remove half-written files that a dead process left in a trial's folder.

    Raises:
        OSError: something cannot be removed.
    """
    if isinstance(folder, Path) and folder.is_symlink():
        remove(folder)  # the link's target is not the trial's
    for name in names_in(folder):
        if not (NAME.fullmatch(name) and MANIFEST in names_in(folder / name)):
            remove(folder / name)


def _read(folder: Path) -> Checkpoint:
    """Read and check a checkpoint: the quick checks first, the checksums of gigabytes last."""
    sums = sums_in(folder)
    checkpoint = Checkpoint(
        TrialProgress.model_validate_json(_bytes(folder / PROGRESS)),
        _tensors(folder / MODEL),
        _tensors(folder / OPTIMIZER),
    )
    for name in (PROGRESS, MODEL, OPTIMIZER):
        if sums.get(name) != sha256(folder / name):
            raise ValueError(f"{folder / name} differs from what was written")
    return checkpoint


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except TypeError as error:  # torch raises it for a shape that overflows
        raise ValueError(f"{path} does not hold tensors") from error


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path} is larger than any file that was written")
    return path.read_bytes()


def _state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's tensors by parameter number and name, such as `7.exp_avg`."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{i}.{key}": tensor for i, kept in state.items() for key, tensor in kept.items()}


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
