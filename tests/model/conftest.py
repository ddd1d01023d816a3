from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.utils import logging

from tests.model.architectures import data
from tuner.model.encoder import PretrainedEncoder, load_encoder
from tuner.study.parts import EncoderConfig

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.3,
}

MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": lambda: BertModel(BertConfig(**SIZES, max_position_embeddings=20)),
    # RoBERTa's positions start at pad_token_id + 1, so these 22 take 20 tokens.
    "xlm-roberta": lambda: XLMRobertaModel(
        XLMRobertaConfig(**SIZES, max_position_embeddings=22, type_vocab_size=1, pad_token_id=1)
    ),
    "distilbert": lambda: DistilBertModel(DistilBertConfig(**SIZES, max_position_embeddings=20)),
    # Its attention needs the distance of two tokens: pairs cannot be packed.
    "deberta-v2": lambda: DebertaV2Model(
        DebertaV2Config(
            **SIZES,
            max_position_embeddings=20,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
        )
    ),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny encoder of every architecture with random weights, saved as users have them."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    saved = {name: tmp_path_factory.mktemp(name) for name in MODELS}
    for name, make in MODELS.items():
        make().save_pretrained(saved[name])
    logging.enable_progress_bar()
    return saved


@pytest.fixture(scope="session")
def encoders(folders: dict[str, Path]) -> dict[str, PretrainedEncoder]:
    return {
        name: load_encoder(EncoderConfig(name=str(folder), max_length=20))
        for name, folder in folders.items()
    }


@pytest.fixture
def bert(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A tiny BERT with a tokenizer, which a test may break."""
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "bert"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(45))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logging.disable_progress_bar()
