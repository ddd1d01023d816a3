from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tuner.data.tokens import Pairs, TokenisedCorpus
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs
from tuner.study.trial import FusionConfig, HeadConfig
from tuner.training.accumulation import MicroBatches, OutOfMemory
from tuner.training.forward import Forward
from tuner.training.partition import passes

CPU = torch.device("cpu")
FUSION = FusionConfig(kind="dlfa", layer=1)
LONGEST = 21
"""Tokens of the corpus's longest pair."""


def assembled(corpus: TokenisedCorpus, size: int) -> Pairs:
    rows = np.arange(97)[corpus.splits["train"].clean[:2].all(axis=0)][:size]
    return corpus.assemble("train", rows, np.zeros_like(rows), np.ones_like(rows))


def forward_of(encoder: PretrainedEncoder, dropout: bool = False) -> Forward:
    model = PairClassifier(encoder, FUSION, HeadConfig()).double().train(dropout)
    return Forward(model, CPU)


def gradients(forward: Forward) -> dict[str, Tensor]:
    """Taken out of the model, which is left without."""
    taken = {n: p.grad.clone() for n, p in forward.model.named_parameters() if p.grad is not None}
    forward.model.zero_grad()
    return taken


def assert_close(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> None:
    assert ours.keys() == reference.keys()
    for name, gradient in reference.items():
        assert torch.allclose(ours[name], gradient, rtol=1e-9, atol=1e-12), name


def reference_gradient(forward: Forward, pairs: Pairs) -> tuple[float, dict[str, Tensor]]:
    """One batch, one mean, one backward pass."""
    assert pairs.token_type_ids is not None
    block = PaddedPairs(
        torch.from_numpy(pairs.input_ids),
        torch.from_numpy(pairs.attention_mask),
        torch.from_numpy(pairs.token_type_ids),
    )
    logits = forward.model([block])
    loss = F.cross_entropy(logits, torch.from_numpy(pairs.labels))
    loss.backward()
    return loss.item(), gradients(forward)


@contextmanager
def memory_for(forward: Forward, tokens: int) -> Iterator[None]:
    """A device whose memory holds a batch of so many tokens, padding included."""

    def check(module: torch.nn.Module, inputs: tuple[list[PaddedPairs]]) -> None:
        if sum(block.input_ids.numel() for block in inputs[0]) > tokens:
            raise torch.OutOfMemoryError("injected")

    handle = forward.model.register_forward_pre_hook(check)
    yield
    handle.remove()


@pytest.mark.parametrize("size", [1, 7, 32, 33])
@pytest.mark.parametrize("micro_size", [1, 4, 5, 64])
def test_gradient_is_that_of_one_batch(
    size: int, micro_size: int, encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    forward, pairs = forward_of(encoder), assembled(corpus, size)
    loss, expected = reference_gradient(forward, pairs)

    ours = MicroBatches(0, [(0, micro_size)], LONGEST).gradient(forward, pairs, step=0)

    assert ours.item() == pytest.approx(loss, rel=1e-12)
    assert_close(gradients(forward), expected)
    assert max(g.abs().max() for g in expected.values()) > 1e-3


@pytest.mark.parametrize("fail_at", [1, 2, 5])
def test_on_out_of_memory_the_step_is_run_again_in_halves(
    fail_at: int, encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    forward, pairs = forward_of(encoder), assembled(corpus, 33)
    _, expected = reference_gradient(forward, pairs)
    done = 0

    def fail_once(module: torch.nn.Module, inputs: tuple[list[PaddedPairs]]) -> None:
        nonlocal done
        done += 1
        if done == fail_at:  # after some gradients were accumulated, unless at 1
            raise torch.OutOfMemoryError("injected")

    forward.model.register_forward_pre_hook(fail_once)
    micro_batches = MicroBatches(0, [(0, 6)], LONGEST)
    micro_batches.gradient(forward, pairs, step=4)

    assert_close(gradients(forward), expected)
    assert micro_batches.plan == [(0, 6), (4, 3)]
    again = passes(pairs.attention_mask.sum(axis=1), 3 * LONGEST, forward.block_cost)
    assert done == fail_at + len(again) > fail_at + 5


def test_what_fits_is_kept(encoder: PretrainedEncoder, corpus: TokenisedCorpus) -> None:
    forward, pairs = forward_of(encoder), assembled(corpus, 33)
    _, expected = reference_gradient(forward, pairs)
    longest = int(pairs.attention_mask.sum(axis=1).max())
    micro_batches = MicroBatches(0, [(0, 1000)], LONGEST)

    with memory_for(forward, tokens=5 * longest):
        for step in (0, 1):
            micro_batches.gradient(forward, pairs, step)
            assert_close(gradients(forward), expected)

    # 5 of the longest fit: of all 33, padded to it in one block, first half are tried.
    assert micro_batches.plan == [(0, 1000), (0, 16), (0, 7), (0, 3)]
    assert micro_batches.size == 3


def test_a_pair_that_does_not_fit(encoder: PretrainedEncoder, corpus: TokenisedCorpus) -> None:
    forward, pairs = forward_of(encoder), assembled(corpus, 7)
    micro_batches = MicroBatches(0, [(0, 4)], LONGEST)
    with memory_for(forward, tokens=3), pytest.raises(OutOfMemory, match="of one pair"):
        micro_batches.gradient(forward, pairs, step=0)
    assert micro_batches.size == 1


def test_dropout_is_a_function_of_seed_step_and_size(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    forward, pairs = forward_of(encoder, dropout=True), assembled(corpus, 12)

    def loss(seed: int = 0, step: int = 3, size: int = 5) -> float:
        torch.rand(7)  # the generator's state before does not matter
        found = MicroBatches(seed, [(0, size)], LONGEST).gradient(forward, pairs, step).item()
        forward.model.zero_grad()
        return found

    assert loss() == loss()
    assert len({loss(), loss(seed=1), loss(step=4), loss(size=4)}) == 4


def test_read_only_arrays_are_left_alone(
    encoder: PretrainedEncoder, corpus: TokenisedCorpus
) -> None:
    array = np.arange(6)
    array.flags.writeable = False
    forward_of(encoder).tensor(array).add_(1)
    assert array.tolist() == [0, 1, 2, 3, 4, 5]


def test_in_bf16_passes_add_up_to_one(encoder: PretrainedEncoder, corpus: TokenisedCorpus) -> None:
    """Weights are cast once for all passes: each of them must reach their gradient."""
    pairs = assembled(corpus, 33)
    found = []
    for size, bf16 in ((1000, True), (2, True), (1000, False)):
        model = PairClassifier(encoder, FUSION, HeadConfig()).eval()
        MicroBatches(0, [(0, size)], LONGEST).gradient(Forward(model, CPU, bf16), pairs, 0)
        found.append(gradients(Forward(model, CPU)))
    exact = found.pop()
    norm = sum(g.square().sum() for g in exact.values()) ** 0.5
    one, many = (
        sum((g - exact[name]).square().sum() for name, g in each.items()) ** 0.5 for each in found
    )
    assert 0 < one < 0.05 * norm and many < 1.5 * one, (one / norm, many / norm)
