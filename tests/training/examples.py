"""Examples that several tests of this room share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tuner.data.tokens import TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.encoder import PretrainedEncoder
from tuner.storage.folders import Place
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.scores import Scores
from tuner.study.trial import TrialConfig
from tuner.training.checkpoint import Checkpoints, TrialProgress
from tuner.training.inputs import TrialInputs
from tuner.training.loop import (
    Step,
    train,
)

CPU = torch.device("cpu")


PROTOCOL = EvaluationProtocol.of(
    LanguagesConfig(source=("en", "de", "fr"), target=("ja",)), ProtocolConfig(), True
)


NEVER = 1e9
"""Seconds between checkpoints, for those saved at rungs alone."""


EPS = 1e-4
"""Adam's epsilon where floats are compared: with less, gradients that are zero but for rounding (of
attention's key biases) move weights."""


def trial(**values: Any) -> TrialConfig:
    """A trial of few large steps, with dropout, cross-lingual batches and fusion."""
    defaults = {
        "batch.effective_size": 7,
        "mix.cross_lingual": 0.5,
        "fusion.kind": "dlfa",
        "fusion.layer": 1,
        "optim.lr": 1e-3,
        "optim.warmup_ratio": 0.1,
    }
    return TrialConfig.from_flat({**defaults, **values})


def without_clock(evaluation: Evaluation) -> Evaluation:
    clocks = ("time", "pairs_per_second", "train_seconds", "evaluation_seconds", "peak_memory_mb")
    return evaluation.model_copy(update=dict.fromkeys(clocks, 1.0))


class Run:
    """A trial's run: its events, and its weights at the end."""

    def __init__(
        self,
        config: TrialConfig,
        rungs: tuple[int, ...],
        corpus: TokenisedCorpus,
        encoder: PretrainedEncoder,
        folder: Path,
        every_seconds: float = NEVER,
        steps: int | None = None,
        **settings: Any,
    ) -> None:
        """`steps`: the trial is interrupted at this one, done but not saved."""
        self.steps: list[Step] = []
        self.evaluations: list[Evaluation] = []
        inputs = TrialInputs(PROTOCOL, corpus, encoder)
        checkpoints = Checkpoints(folder, every_seconds)
        for event in train(config, rungs, inputs, CPU, checkpoints, **settings):
            if isinstance(event, Step):
                self.steps.append(event)
                if len(self.steps) == steps:
                    break
            elif isinstance(event, Evaluation):
                self.evaluations.append(without_clock(event))
        self.weights: dict[str, Tensor] = {}
        for checkpoint in sorted(folder.glob("step-*"))[-1:]:
            self.weights = load_file(checkpoint / "model.safetensors")


ESTIMATES = ("within", "between", "mean_gradient_squared")

EVALUATION = Evaluation(
    time=0.1 + 0.2,
    rung=10,
    pairs_seen=14,
    step=2,
    objective=1 / 3,
    select={"en": Scores(accuracy=1 / 3, f1=0.1, pairs=3)},
    train_loss=0.7,
    pairs_per_second=10.0,
    train_seconds=1.4,
    evaluation_seconds=0.1,
    peak_memory_mb=100.0,
    micro_plan=((0, 7),),
    precision="fp32",
)


def progress(step: int) -> TrialProgress:
    return TrialProgress(
        fingerprint="mine",
        micro_plan=[(0, 7), (1, 3)],
        step=step,
        loss_sum=0.1 + 0.2,
        train_seconds=1 / 3,
        evaluations=[EVALUATION],
    )


def trained(seed: int = 0) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A model and an optimizer with a state, one parameter never having had a gradient."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(3):
        model[1](model[0](torch.randn(5, 3))).pow(3).sum().backward()
        optimizer.step()
    return model, optimizer


def save(folder: Place, *steps: int) -> None:
    checkpoints = Checkpoints(folder, 60.0)
    for step in steps:
        checkpoints.save(*trained(), progress(step))


def latest(folder: Place) -> int | None:
    """The step that a trial would go on from."""
    checkpoint = Checkpoints(folder, 60.0).latest("mine")
    return checkpoint.progress.step if checkpoint else None


def lose(folder: Place) -> None:
    (folder / "manifest.json").unlink()
