"""The training loop that every trial runs, and its optimizer. Read `train` from top to bottom."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from tuner.data.batches import HybridBatches
from tuner.journal.records import Evaluation
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.study.trial import OptimConfig, TrialConfig
from tuner.training.accumulation import MicroBatches, reporting_out_of_memory
from tuner.training.checkpoint import (
    Checkpoints,
    TrainingState,
    TrialProgress,
    broadcast_state,
    fingerprint,
)
from tuner.training.evaluation import Evaluating, evaluate_dev
from tuner.training.forward import Forward
from tuner.training.gradient_noise import NoiseProbe
from tuner.training.group import ALONE, Group
from tuner.training.inputs import TrialInputs
from tuner.training.losses import STEPS_UNREAD, read_losses
from tuner.training.processor import processor
from tuner.training.schedule import lr_multiplier

BF16_HIDDEN_SIZE = 256
"""Hidden size from which bfloat16 is faster on a CPU that has it; it slows smaller encoders."""
EVALUATION_MICRO_BATCHES = 4
"""Micro-batches that an evaluation's forward pass holds, since it keeps no activations."""


@dataclass(frozen=True)
class Begun:
    """The event that training is about to begin, or to resume from a checkpoint at these pairs."""

    pairs_seen: int


@dataclass(frozen=True)
class Step:
    """The event that an optimizer step is done."""

    step: int
    pairs_seen: int


def train(
    config: TrialConfig,
    rungs: Sequence[int],
    inputs: TrialInputs,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    micro_size: int | None = None,
    group: Group = ALONE,
    noise_pairs: int | None = None,
    micro_plan: Sequence[tuple[int, int]] | None = None,
) -> Iterator[Begun | Step | Evaluating | Evaluation]:
    """Train one trial; yield where it begins, every step done, and an evaluation for every rung.

    A rung is evaluated at the first step at or past it, after that step is yielded. Rungs passed by
    the same step share one evaluation, which yields its progress meanwhile. If `checkpoints` holds
    a checkpoint, the evaluations in it are yielded again and training resumes from it, bit-equal on
    the same machine and number of threads. A checkpoint is saved at rungs, before the evaluation is
    yielded; by time; and between two events whenever `checkpoints.keep` is called. From a
    checkpoint saved during an evaluation, training resumes with it. This seeds torch's global
    generators.

    With several workers this runs in each of them with the same arguments. All yield the same
    sequence, and no exchange between them spans an event: a caller that advances them by equal
    counts may stop after any event.

    Args:
        config: the trial's configuration.
        rungs: budgets in pairs, ascending; the last is the full budget and the decay's horizon.
        inputs: the protocol, the pairs, and the encoder that training starts from.
        device: the device that it runs on.
        checkpoints: the trial's checkpoints, in the first worker alone; if None, nothing is saved.
        micro_size: replaces `batch.micro_size` if it is smaller.
        group: the workers that share every step and evaluation, seen from this one.
        noise_pairs: training pairs of each kind on which gradient noise is probed at every rung, as
            part of its evaluation; None for no probe. Everything else is bit-equal.
        micro_plan: the plan of an evaluation of the same trial with as many workers. This run takes
            the same sizes of micro-batches at the same steps, whatever `batch.micro_size` says, and
            so has the same dropout. Sizes that do not fit here are halved as usual.

    Raises:
        NonFiniteLoss: the trial diverged; raised before anything is reported or saved.
        OutOfMemory: model and optimizer, or even a single pair, do not fit in the device's memory.
        Disconnected: another worker cannot be reached.
        StorageFull: a checkpoint cannot be written.
        UserError: the configuration does not fit encoder or corpus, or the checkpoint belongs to
            another trial.
    """
    assert rungs
    assert list(rungs) == sorted(set(rungs))
    protocol, corpus, encoder = inputs.protocol, inputs.corpus, inputs.encoder
    full_budget, size = rungs[-1], config.batch.effective_size
    peak_lr = config.optim.peak_lr(size)
    languages = [corpus.languages.index(language) for language in protocol.train]
    rows = corpus.rows("train", protocol.train)
    batches = HybridBatches(config.mix, size, languages, rows, config.seed)
    model = PairClassifier(encoder, config.fusion, config.head, corpus.num_labels, config.seed)
    with reporting_out_of_memory("the model and its optimizer's state"):
        model.to(device)
        optimizer = adamw(model, config.optim)
    model.train()
    probe = NoiseProbe(corpus, languages, rows, noise_pairs, config.seed) if noise_pairs else None
    forward = Forward(model, device, computes_in_bf16(config.precision, device, encoder))
    identity = fingerprint(
        config=config.identity(),
        rungs=list(rungs),
        protocol=asdict(replace(protocol, claim="")),
        corpus=[corpus.languages, corpus.max_length, len(rows), corpus.num_labels],
        encoder=encoder.checksum,
        kept_tokens=None if encoder.kept_tokens is None else encoder.kept_tokens.tolist(),
    )
    fits = min(config.batch.micro_size, group.largest_share(size))
    fits = micro_plan[0][1] if micro_plan else fits
    progress = TrialProgress(fingerprint=identity, micro_plan=[(0, fits)])
    saved = checkpoints.latest(identity) if checkpoints else None
    if saved is not None:
        saved.restore(model, optimizer)
        progress = saved.progress
    del saved  # gigabytes
    progress = broadcast_state(group, progress, model, optimizer)
    yield Begun(progress.step * size)
    yield from progress.evaluations
    micro_batches = MicroBatches(
        config.seed, progress.micro_plan, corpus.max_length, ahead=micro_plan or ()
    )
    if micro_size is not None and micro_size < micro_batches.size:
        micro_batches.plan.append((progress.step, micro_size))
    unread: list[tuple[Tensor, Tensor]] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def read() -> None:
        """Read and check the waiting losses."""
        for loss_read in read_losses(unread, progress.step) if unread else ():
            progress.loss_sum += loss_read
        unread.clear()

    def state() -> TrainingState:
        """Return the trial's state between two events."""
        read()
        return model, optimizer, progress

    def passed() -> list[int]:
        """Return the rungs that have been reached and are not evaluated yet."""
        evaluated = {evaluation.rung for evaluation in progress.evaluations}
        return [r for r in rungs if r <= progress.step * size and r not in evaluated]

    if checkpoints is not None:
        checkpoints.follow(state)

    while (due := passed()) or progress.step * size < full_budget:
        save = bool(due)
        if not due:
            started = time.perf_counter()
            pairs_before = progress.step * size
            batch = batches[progress.step]
            pairs = corpus.assemble("train", batch.rows, batch.language1, batch.language2)
            loss = micro_batches.gradient(forward, pairs, progress.step, group)
            gradient_norm = clip_grad_norm_(model.parameters(), config.optim.max_grad_norm)
            lr = peak_lr * lr_multiplier(config.optim, pairs_before, full_budget)
            for part in optimizer.param_groups:
                part["lr"] = lr * part["lr_multiplier"]
            optimizer.step()
            optimizer.zero_grad()
            progress.step += 1
            unread.append((loss, gradient_norm))

            due = passed()
            save = bool(due) or (checkpoints is not None and checkpoints.due())
            if save or device.type == "cpu" or len(unread) == STEPS_UNREAD:
                read()
            progress.train_seconds += time.perf_counter() - started
            yield Step(progress.step, progress.step * size)

        evaluations: list[Evaluation] = []
        if due:
            started = time.perf_counter()
            tokens = EVALUATION_MICRO_BATCHES * micro_batches.tokens
            sets = protocol.at_rungs
            if due[-1] == full_budget:
                sets = protocol.sets
            dev = yield from evaluate_dev(forward, corpus, protocol, sets, tokens, group)
            scored, noise = time.perf_counter(), {}
            if probe is not None:
                noise = yield from probe.measure(forward, due[0], micro_batches.size, group)
            last = progress.evaluations[-1] if progress.evaluations else None
            steps = progress.step - (last.step if last else 0)
            seconds = progress.train_seconds - (last.train_seconds if last else 0.0)
            evaluation = Evaluation(
                time=time.time(),
                rung=due[0],
                pairs_seen=progress.step * size,
                step=progress.step,
                objective=dev.criteria[protocol.objective.name],
                select=dev.select,
                oracle=dev.oracle,
                noise=noise,
                train_loss=progress.loss_sum / steps,
                pairs_per_second=steps * size / seconds,
                train_seconds=progress.train_seconds,
                evaluation_seconds=time.perf_counter() - started,
                noise_seconds=time.perf_counter() - scored if probe is not None else 0.0,
                peak_memory_mb=group.highest(peak_memory_mb(device)),
                micro_plan=tuple(progress.micro_plan),
                workers=group.size,
                precision="bf16" if forward.bf16 else "fp32",
                processor=processor(device),
                threads=torch.get_num_threads(),
            )
            for rung in due:
                own: dict[str, object] = {"rung": rung}
                if rung == full_budget:
                    own |= {"criteria": dev.criteria, "answers": dev.answers}
                evaluations.append(evaluation.model_copy(update=own))
            progress.evaluations += evaluations
            progress.loss_sum = 0.0
        if checkpoints is not None and save:
            checkpoints.save(*state())
        yield from evaluations


def adamw(model: PairClassifier, optim: OptimConfig) -> AdamW:
    """Return AdamW over the model; a group's learning rate is its `lr_multiplier` × the step's.

    Parameters of one dimension (biases and LayerNorms) do not decay. Nor does the matrix of token
    embeddings, from which `tuner.model.vocabulary` cuts the rows that are never read. The
    multiplier is `new_modules_lr` for parameters of fusion and head, and 1 for all others.
    """
    new = model.new_parameters()
    embedding = model.encoder.get_input_embeddings().weight

    def decays(parameter: nn.Parameter) -> bool:
        return parameter.ndim > 1 and parameter is not embedding

    groups = [
        {
            "params": [p for p in model.parameters() if (p in new) is is_new and decays(p) is d],
            "weight_decay": optim.weight_decay if d else 0.0,
            "lr_multiplier": optim.new_modules_lr if is_new else 1.0,
        }
        for is_new in (False, True)
        for d in (True, False)
    ]
    optimizer = AdamW(groups, lr=optim.lr, betas=(0.9, 0.999), eps=optim.eps, fused=True)
    for parameter in model.parameters():
        # Allocate now what the first step would: there, memory could run out with some parameters
        # updated and others not. On out-of-memory only a forward or backward pass is run again.
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def computes_in_bf16(precision: str, device: torch.device, encoder: PretrainedEncoder) -> bool:
    """Return whether to use bfloat16 autocast; `auto` does if the hardware is faster with it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu.get_capabilities()
    has_it = bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16"))
    return has_it and encoder.hidden_size >= BF16_HIDDEN_SIZE


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory in MiB: on a GPU torch's, else that of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
