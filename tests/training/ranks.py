"""The work of a group's workers in the tests, each in a process of its own; and of one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from tuner.data.corpus import Split
from tuner.data.tokens import Pairs, TokenisedCorpus
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import FusionConfig, HeadConfig, TrialConfig
from tuner.training import group as groups
from tuner.training.accumulation import MicroBatches
from tuner.training.checkpoint import Checkpoints
from tuner.training.forward import Forward
from tuner.training.group import Group
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Begun, Step, train

CPU = torch.device("cpu")
PROTOCOL = EvaluationProtocol.of(
    LanguagesConfig(source=("en", "de", "fr"), target=("ja",)), ProtocolConfig(), True
)
SIZES = (1, 2, 3, 5, 8, 33)
TRIALS: dict[str, dict[str, Any]] = {
    "even": {"batch.effective_size": 12},
    "uneven": {"batch.effective_size": 7, "batch.micro_size": 2},
    "single": {"batch.effective_size": 1},
    "fewer than workers": {"batch.effective_size": 2, "fusion.kind": "last", "fusion.layer": None},
    "by pair": {"batch.effective_size": 5, "mix.granularity": "pair"},
}
RUNGS = (14, 40, 61)
NEVER = 1e9


@dataclass
class Done:
    """The results of one worker, as NumPy's arrays."""

    gradients: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    plans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    events: dict[str, list[Any]] = field(default_factory=dict)
    weights: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    batches: dict[str, list[np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched(TokenisedCorpus):
    """A corpus that remembers which training pairs were asked for."""

    seen: list[np.ndarray] = field(default_factory=list)

    def assemble(
        self,
        split: Split,
        rows: np.ndarray,
        language1: np.ndarray,
        language2: np.ndarray,
        padded_to: int | None = None,
    ) -> Pairs:
        if split == "train":
            self.seen.append(np.stack([rows, language1, language2]))
        return super().assemble(split, rows, language1, language2, padded_to)


def play(
    rank: int,
    ports: dict[int, int],
    encoder: PretrainedEncoder,
    corpus: TokenisedCorpus,
    folder: Path,
) -> dict[int, Done]:
    """The part of one of three processes in groups of several sizes, meeting at these ports.

    Returns:
        What it did, by size of the group.
    """
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    done = {}
    for size, port in ports.items():
        if rank < size:
            group = groups.join(rank, size, "127.0.0.1", port, CPU)
            done[size] = everything(group, encoder, corpus, folder)
            distributed.destroy_process_group()
    return done


def everything(
    group: Group, encoder: PretrainedEncoder, corpus: TokenisedCorpus, folder: Path
) -> Done:
    """All that is compared between groups of any size, in double precision without dropout."""
    done = Done()
    for size in SIZES:
        _gradient(done, f"{size}", group, encoder, corpus, size, micro_size=4)
    with short_of_memory(group, pairs=3, training=True):
        _gradient(done, "short of memory", group, encoder, corpus, 33, micro_size=64)
    for name in TRIALS:
        _train(done, name, group, encoder, corpus, name)
    with short_of_memory(group, pairs=5, training=False):
        _train(done, "evaluated in little memory", group, encoder, corpus, "uneven")
    _train(done, "probed", group, encoder, corpus, "uneven", noise_pairs=12)
    own = folder / f"of {group.size}"
    _train(done, "begun", group, encoder, corpus, "uneven", own, steps=4)
    other = folder / f"of {1 if group.size > 1 else 2}"
    if other.exists():
        _train(done, "gone on", group, encoder, corpus, "uneven", other)
    return done


@contextmanager
def short_of_memory(group: Group, pairs: int, training: bool) -> Iterator[None]:
    """The last worker's device holds so many pairs at once; those of the others hold all."""

    def check(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        here = isinstance(module, PairClassifier) and module.training is training
        if (
            here
            and group.rank == group.size - 1
            and sum(len(block.input_ids) for block in inputs[0]) > pairs
        ):
            raise torch.OutOfMemoryError("injected")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(check)
    yield
    hook.remove()


def trial(name: str) -> TrialConfig:
    defaults = {
        "mix.cross_lingual": 0.5,
        "fusion.kind": "dlfa",
        "fusion.layer": 1,
        "head.dropout": 0.0,
        "optim.lr": 1e-3,
        "optim.eps": 1e-4,
        "optim.weight_decay": 0.1,
        "optim.max_grad_norm": 0.1,
        "precision": "fp32",
    }
    return TrialConfig.from_flat({**defaults, **TRIALS[name]})


def _gradient(
    done: Done,
    name: str,
    group: Group,
    encoder: PretrainedEncoder,
    corpus: TokenisedCorpus,
    size: int,
    micro_size: int,
) -> None:
    """The gradient of a batch of `size` pairs, one parameter having no part in it."""
    model = PairClassifier(encoder, FusionConfig(kind="dlfa", layer=1), HeadConfig(dropout=0.0))
    model.register_parameter("idle", torch.nn.Parameter(torch.ones(3)))
    rows = corpus.rows("train", ["en", "de"])[:size]
    pairs = corpus.assemble("train", rows, np.zeros_like(rows), np.ones_like(rows))
    micro_batches = MicroBatches(0, [(0, micro_size)], corpus.max_length)
    loss = micro_batches.gradient(Forward(model, CPU), pairs, 0, group)
    done.losses[name] = loss.item()
    done.plans[name] = micro_batches.plan
    named = model.named_parameters()
    done.gradients[name] = {n: p.grad.numpy() for n, p in named if p.grad is not None}


def _train(
    done: Done,
    name: str,
    group: Group,
    encoder: PretrainedEncoder,
    corpus: TokenisedCorpus,
    of: str,
    folder: Path | None = None,
    steps: int | None = None,
    noise_pairs: int | None = None,
) -> None:
    """A trial, to its end or so many steps; the last checkpoint is what stays of its weights."""
    kept: list[PairClassifier] = []

    def keep(module: torch.nn.Module, inputs: Any) -> None:
        if isinstance(module, PairClassifier):
            kept[:] = [module]

    corpus = Watched(**{f.name: getattr(corpus, f.name) for f in fields(TokenisedCorpus)})
    first = folder is not None and group.rank == 0
    checkpoints = Checkpoints(folder, 0.0 if steps else NEVER) if first and folder else None
    hook = torch.nn.modules.module.register_module_forward_pre_hook(keep)
    inputs = TrialInputs(PROTOCOL, corpus, encoder)
    events = train(trial(of), RUNGS, inputs, CPU, checkpoints, group=group, noise_pairs=noise_pairs)
    told: list[Any] = []
    for event in events:
        if isinstance(event, Evaluation):
            event = without_clock(event)
        told.append(event)
        if isinstance(event, Step) and event.step == steps:
            break
    hook.remove()
    assert isinstance(told[0], Begun)
    done.events[name] = told
    done.batches[name] = corpus.seen
    if kept:
        state = kept[0].state_dict()
        done.weights[name] = {n: tensor.numpy().copy() for n, tensor in state.items()}


def without_clock(evaluation: Evaluation) -> Evaluation:
    seconds = ("train_seconds", "evaluation_seconds", "noise_seconds")
    clocks = ("time", "pairs_per_second", *seconds, "peak_memory_mb")
    return evaluation.model_copy(update=dict.fromkeys(clocks, 0.0))
