"""Trials on the encoder without rows that the corpus never reads, beside trials on the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DistilBertConfig, DistilBertModel, XLMRobertaConfig, XLMRobertaModel

from tests.training.examples import EPS, Run, trial
from tuner.data.tokens import TokenisedCorpus
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder, load_encoder
from tuner.model.packing import PaddedPairs
from tuner.model.vocabulary import cut, restored
from tuner.study.parts import EncoderConfig
from tuner.study.trial import FusionConfig, HeadConfig

PAD = 1
SIZES: dict[str, Any] = {"vocab_size": 50, "pad_token_id": PAD}


@pytest.fixture(scope="module")
def sparse(corpus: TokenisedCorpus) -> TokenisedCorpus:
    """Without most of the encoder's tokens, and padded with another than 0."""
    splits = {
        name: replace(split, tokens=np.where(split.tokens > 5, split.tokens // 6 * 6, split.tokens))
        for name, split in corpus.splits.items()
    }
    return replace(corpus, splits=splits, pad_id=PAD)


@pytest.fixture(scope="module")
def encoders(
    encoder: PretrainedEncoder, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, PretrainedEncoder]:
    torch.manual_seed(1)
    small = {"hidden_size": 16, "intermediate_size": 32, "initializer_range": 0.3}
    small |= {"num_hidden_layers": 2, "num_attention_heads": 2}
    roberta = XLMRobertaConfig(**SIZES, **small, max_position_embeddings=40)
    distilled = DistilBertConfig(**SIZES, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    found = {"bert": encoder}
    for name, model in (
        ("xlm-roberta", XLMRobertaModel(roberta)),
        ("distilbert", DistilBertModel(distilled)),
    ):
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        found[name] = load_encoder(EncoderConfig(name=str(folder), max_length=32))
    return found


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "distilbert"])
def test_what_is_computed_is_the_same(
    architecture: str, encoders: dict[str, PretrainedEncoder], sparse: TokenisedCorpus
) -> None:
    whole = encoders[architecture]
    smaller, renumbered = cut(whole, sparse)
    assert len(smaller.weights[smaller.embedding]) == renumbered.vocabulary_size < 20
    rows = sparse.rows("dev", ["en", "de"])
    languages = np.zeros_like(rows), np.ones_like(rows)
    logits = []
    for encoder, corpus in ((whole, sparse), (smaller, renumbered)):
        model = PairClassifier(encoder, FusionConfig(kind="dlfa", layer=0), HeadConfig()).eval()
        pairs = corpus.assemble("dev", rows, *languages)
        assert (pairs.attention_mask == 0).any(), "padding, from which RoBERTa counts positions"
        types = torch.from_numpy(pairs.token_type_ids)
        if architecture == "xlm-roberta":
            types.zero_()
        ids, mask = torch.from_numpy(pairs.input_ids), torch.from_numpy(pairs.attention_mask)
        logits.append(model([PaddedPairs(ids, mask, types)]))
    assert torch.equal(*logits)


def test_training_is_the_same_and_the_whole_is_put_back(
    encoder: PretrainedEncoder, sparse: TokenisedCorpus, tmp_path: Path
) -> None:
    sparse = replace(sparse, pad_id=0)
    smaller, renumbered = cut(encoder, sparse)
    kept = smaller.kept_tokens
    assert kept is not None
    config = trial(**{"optim.weight_decay": 0.1, "optim.eps": EPS, "optim.max_grad_norm": 0.5})
    expected = Run(config, (140,), sparse, encoder, tmp_path / "whole")
    found = Run(config, (140,), renumbered, smaller, tmp_path / "cut")

    name = f"encoder.{encoder.embedding}"
    assert found.weights["kept_tokens"].tolist() == kept.tolist()
    weights = restored(found.weights, encoder)
    assert restored(expected.weights, encoder) == expected.weights, "nothing was cut"
    assert set(weights) == set(expected.weights)
    for key, weight in expected.weights.items():
        torch.testing.assert_close(weights[key], weight, rtol=0, atol=1e-6)
    matrix = torch.tensor(encoder.weights[encoder.embedding])
    unread = np.setdiff1d(np.arange(50), kept)
    assert torch.equal(weights[name][unread], matrix[unread])
    moved = weights[name][kept] - matrix[kept]
    assert moved.abs().max() > 1e-3, "they were trained"
    (one,), (other,) = expected.evaluations, found.evaluations
    assert other.select == one.select and other.oracle == one.oracle
    assert other.train_loss == pytest.approx(one.train_loss, abs=1e-6)


def test_every_token_is_the_one_it_was(encoder: PretrainedEncoder, sparse: TokenisedCorpus) -> None:
    smaller, renumbered = cut(encoder, sparse)
    kept = smaller.kept_tokens
    assert kept is not None
    assert kept[renumbered.pad_id] == sparse.pad_id == renumbered.pad_id
    assert smaller.config["pad_token_id"] == encoder.config["pad_token_id"] == 0
    for name, split in sparse.splits.items():
        assert np.array_equal(kept[renumbered.splits[name].tokens], split.tokens)
    specials = kept[renumbered.template.special_ids]
    assert np.array_equal(specials, sparse.template.special_ids)
