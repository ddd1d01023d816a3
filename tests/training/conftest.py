from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
)
from transformers.utils import logging
from upath import UPath

from tests.training.examples import Run
from tuner.data.corpus import Split
from tuner.data.template import PairTemplate
from tuner.data.tokens import TokenisedCorpus, TokenisedSplit
from tuner.model.encoder import PretrainedEncoder, load_encoder
from tuner.storage.folders import Place
from tuner.study.parts import EncoderConfig
from tuner.study.trial import TrialConfig

LANGUAGES = ("en", "de", "fr", "ja")
CLS, SEP = 2, 3


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PretrainedEncoder:
    """A tiny BERT with random weights and with dropout in its layers."""
    folder: Path = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    logging.disable_progress_bar()
    BertModel(config).save_pretrained(folder)
    logging.enable_progress_bar()
    return load_encoder(EncoderConfig(name=str(folder), max_length=32))


@pytest.fixture(scope="session")
def corpus() -> TokenisedCorpus:
    """Random sentences of 2 to 9 tokens; a pair's label is whether token 4 is in sentence1.

    Some rows are not clean in some languages. There is no test split: training must not need it.
    """
    random = np.random.default_rng(0)

    def split(ids: int) -> TokenisedSplit:
        labels = random.integers(0, 2, ids)
        lengths = random.integers(2, 10, (len(LANGUAGES), 2, ids))
        starts = 3 + lengths.cumsum().reshape(lengths.shape) - lengths
        tokens = np.concatenate([[CLS, SEP, SEP], random.integers(5, 50, lengths.sum())])
        tokens[starts[:, 0][:, labels == 1]] = 4
        clean = random.random((len(LANGUAGES), ids)) > 0.05
        return TokenisedSplit(tokens.astype(np.int32), starts, lengths, clean, labels)

    splits: dict[Split, TokenisedSplit] = {"train": split(97), "dev": split(41)}
    template = PairTemplate(
        special_ids=np.array([CLS, SEP, SEP]),
        sentence1=1,
        sentence2=3,
        types=np.array([0, 0, 0, 1, 1]),
    )
    return TokenisedCorpus(LANGUAGES, 0, 50, 32, template, splits, num_labels=2)


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A trial's, not made yet; fsspec's store in memory has what object stores have."""
    if request.param == "local":
        return tmp_path / "trials" / "0007"
    return UPath(f"memory://{tmp_path}/trials/0007")


@pytest.fixture
def run(corpus: TokenisedCorpus, encoder: PretrainedEncoder, tmp_path: Path) -> Any:
    """`run(config, rungs, folder="...", every_seconds=..., steps=...)`."""

    def start(
        config: TrialConfig, rungs: tuple[int, ...], folder: str = "trial", **settings: Any
    ) -> Run:
        return Run(config, rungs, corpus, encoder, tmp_path / folder, **settings)

    return start
