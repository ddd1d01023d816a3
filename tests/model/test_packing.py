"""Many pairs in one pass: the same hidden states and gradients as of each pair alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModel

from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.packing import PaddedPairs, attend
from tuner.study.trial import FusionConfig, HeadConfig

ARCHITECTURES = ("bert", "xlm-roberta", "distilbert", "deberta-v2")
LENGTHS = ((9, 9, 7), (5,), (4, 3, 3, 3))
"""Lengths of the pairs of three blocks."""


def padded(lengths: tuple[int, ...], encoder: PretrainedEncoder) -> PaddedPairs:
    """A block of these pairs."""
    pad_id = encoder.config["pad_token_id"]
    types = encoder.config.get("type_vocab_size", 0) > 1
    generator = torch.Generator().manual_seed(sum(lengths))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(4, 50, mask.shape, generator=generator).where(mask == 1, pad_id)
    kinds = (torch.arange(max(lengths)) >= 2).long().expand_as(ids).where(mask == 1, 0)
    return PaddedPairs(ids, mask, kinds if types else None)


@pytest.mark.parametrize("all_layers", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_states_are_those_of_transformers_and_one_pair(
    architecture: str,
    all_layers: bool,
    folders: dict[str, Path],
    encoders: dict[str, PretrainedEncoder],
) -> None:
    encoder = encoders[architecture]
    model = PairClassifier(encoder, FusionConfig(), HeadConfig()).double().eval()
    assert model.encode.packs is (architecture != "deberta-v2")
    theirs = AutoModel.from_pretrained(folders[architecture]).double().eval()
    blocks = [padded(lengths, encoder) for lengths in LENGTHS]

    states = model.encode(blocks, all_layers)

    for block, layers in zip(blocks, states, strict=True):
        assert len(layers) == (4 if all_layers else 1)
        for pair, length in enumerate(block.attention_mask.sum(dim=1).tolist()):
            alone = {"input_ids": block.input_ids[pair, :length][None]}
            if block.token_type_ids is not None:
                alone["token_type_ids"] = block.token_type_ids[pair, :length][None]
            expected = theirs(**alone, output_hidden_states=True).hidden_states
            for found, state in zip(reversed(layers), reversed(expected), strict=False):
                torch.testing.assert_close(found[pair, :length], state[0], rtol=0, atol=1e-12)
    assert states[0][-1].std() > 0.1, "they are about something"


@pytest.mark.parametrize("fusion", [FusionConfig(), FusionConfig(kind="dlfa", layer=1)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_are_those_of_single_pairs(
    architecture: str, fusion: FusionConfig, encoders: dict[str, PretrainedEncoder]
) -> None:
    encoder = encoders[architecture]
    model = PairClassifier(encoder, fusion, HeadConfig()).double().eval()
    torch.nn.init.normal_(model.head.weight)
    blocks = [padded(lengths, encoder) for lengths in LENGTHS]

    def gradients(loss: Tensor) -> dict[str, Tensor]:
        model.zero_grad()
        loss.backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    together = model(blocks)
    found = gradients(together.square().sum())
    alone = []
    for block in blocks:
        types = block.token_type_ids
        for pair, length in enumerate(block.attention_mask.sum(dim=1).tolist()):
            own = slice(pair, pair + 1), slice(0, length)
            kinds = None if types is None else types[own]
            alone.append(
                model([PaddedPairs(block.input_ids[own], block.attention_mask[own], kinds)])
            )
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-12)
    expected = gradients(torch.cat(alone).square().sum())

    assert found.keys() == expected.keys()
    assert max(gradient.abs().max() for gradient in expected.values()) > 0.1
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-11, msg=name)


def test_attention_is_dropped_out() -> None:
    """Its mean over many draws is what it is without: it is linear in what is kept."""
    torch.manual_seed(0)
    tokens = sum(len(lengths) * max(lengths) for lengths in LENGTHS)
    states = [torch.randn(1, 2, tokens, 4, dtype=torch.float64) for _ in range(3)]
    masks = [torch.arange(max(some)) < torch.tensor(some)[:, None] for some in LENGTHS]
    blocks = [(tuple(mask.shape), mask[:, None, None]) for mask in masks]

    def attended(p: float) -> Tensor:
        return attend(torch.nn.Module(), *states, None, blocks=blocks, dropout=p)[0]

    without = attended(0.0)
    drawn = torch.stack([attended(0.2) for _ in range(1000)])
    deviation = drawn.std(0)
    assert deviation.mean() > 0.1
    off = (drawn.mean(0) - without).abs() / (deviation / 1000**0.5)
    assert off.max() < 6
