"""Checkpoints: all that a trial needs to go on bit-equal, in safetensors and JSON.

A checkpoint is a folder `step-N`: `model.safetensors`, `optimizer.safetensors`, `progress.json`,
and `manifest.json` with the sha256 of the other three. It is written under another name and renamed
when it is complete; only then is the one before it removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from tuner.errors import UserError
from tuner.records import Evaluation

MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.safetensors", "progress.json"
MANIFEST = "manifest.json"


class Progress(BaseModel):
    """How far a trial has come. Random numbers are functions of seed and step: no state of theirs.

    Attributes:
        fingerprint: of everything that determines the trial; a checkpoint of another is refused.
        step: optimizer steps done.
        micro_plan: (first step, pairs of a forward pass) for every size there has been.
        loss_sum: losses of the steps since the last evaluation, added up.
        train_seconds: training alone.
        evaluations: so far, in order.
    """

    model_config = ConfigDict(extra="forbid")

    fingerprint: str
    micro_plan: list[tuple[int, int]]
    step: int = 0
    loss_sum: float = 0.0
    train_seconds: float = 0.0
    evaluations: list[Evaluation] = []


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint as read back, on the CPU."""

    progress: Progress
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]

    def restore(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Put weights and optimizer state in place."""
        model.load_state_dict(self.weights)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.optimizer.items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


class Checkpoints:
    """The checkpoints of one trial, of which the latest is kept.

    Args:
        folder: the trial's own; made when first needed.
        every_seconds: longest time of training that an interruption may cost.
    """

    def __init__(self, folder: Path, every_seconds: float) -> None:
        self.folder = folder
        self.every_seconds = every_seconds
        self._saved = time.monotonic()

    def due(self) -> bool:
        """Whether the last one is older than `every_seconds`."""
        return time.monotonic() - self._saved >= self.every_seconds

    def save(self, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
        """Write a checkpoint, then remove those before it."""
        target = self.folder / f"step-{progress.step:09d}"
        partial = self.folder / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(_contiguous(model.state_dict()), partial / MODEL)
        state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
        tensors = {f"{i}.{key}": value for i, kept in state.items() for key, value in kept.items()}
        save_file(_contiguous(tensors), partial / OPTIMIZER)
        (partial / PROGRESS).write_text(progress.model_dump_json())
        sums = {name: _sha256(partial / name) for name in (MODEL, OPTIMIZER, PROGRESS)}
        (partial / MANIFEST).write_text(json.dumps(sums))
        for path in (*partial.iterdir(), partial):
            _sync(path)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
        _sync(self.folder)
        for old in self._steps():
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
        self._saved = time.monotonic()

    def latest(self, fingerprint: str) -> Checkpoint | None:
        """The latest complete checkpoint; None where there is none.

        Raises:
            UserError: it belongs to another trial.
        """
        for folder in reversed(self._steps()):
            if not _is_complete(folder):
                continue
            progress = Progress.model_validate_json((folder / PROGRESS).read_text())
            if progress.fingerprint != fingerprint:
                raise UserError(
                    f"the checkpoint {folder} belongs to another configuration, encoder or corpus",
                    "Give this trial a folder of its own, or remove the checkpoint.",
                )
            return Checkpoint(progress, load_file(folder / MODEL), load_file(folder / OPTIMIZER))
        return None

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


def fingerprint(**parts: Any) -> str:
    """A sha256 over JSON values that determine a trial."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _is_complete(folder: Path) -> bool:
    """Whether all files are there and have the sums that the manifest lists."""
    try:
        sums = json.loads((folder / MANIFEST).read_text())
        return all(_sha256(folder / name) == sums[name] for name in (MODEL, OPTIMIZER, PROGRESS))
    except (OSError, ValueError, KeyError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have the operating system write a file or folder to its disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
