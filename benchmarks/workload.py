"""What the speed benchmarks train: real PAWS-X pairs as token arrays, encoders of random weights.

The arrays are prepared once where the text and its tokenizer are, and then read anywhere:

    python benchmarks/workload.py PAWSX-FOLDER MBERT-VOCAB-FOLDER tokens.npz

The first folder is in the official layout (x-final or the parallel split), the second holds mBERT's
vocab.txt. All seven languages are tokenised, as in a study of zero-shot transfer.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from tuner.data.template import PairTemplate
from tuner.data.tokens import TokenisedCorpus, TokenisedSplit
from tuner.model.encoder import PretrainedEncoder

SOURCES, TARGETS = ("en", "de", "zh"), ("es", "fr", "ja", "ko")
MAX_LENGTH = 128
VOCABULARY = 119_547
"""Tokens of mBERT."""
SHAPES: dict[str, dict[str, Any]] = {
    "4x256": {
        "num_hidden_layers": 4,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
    "mbert": {},  # BertConfig's own: 12 layers of 768
}


def encoder_config(shape: str) -> BertConfig:
    """Of an encoder with mBERT's vocabulary."""
    return BertConfig(vocab_size=VOCABULARY, **SHAPES[shape])


def random_encoder(shape: str) -> PretrainedEncoder:
    """What training starts from: the time of a step does not depend on the weights."""
    torch.manual_seed(0)
    config = encoder_config(shape)
    weights = {name: tensor.numpy() for name, tensor in BertModel(config).state_dict().items()}
    embedding = "embeddings.word_embeddings.weight"
    return PretrainedEncoder(shape, config.to_dict(), weights, embedding, True, shape)


def save(corpus: TokenisedCorpus, path: Path) -> None:
    """Write a corpus as plain arrays."""
    assert corpus.template.types is not None
    plain = {
        "languages": corpus.languages,
        "pad_id": corpus.pad_id,
        "vocabulary_size": corpus.vocabulary_size,
        "max_length": corpus.max_length,
        "sentences": [corpus.template.sentence1, corpus.template.sentence2],
        "num_labels": corpus.num_labels,
    }
    arrays = {"special_ids": corpus.template.special_ids, "types": corpus.template.types}
    for name, split in corpus.splits.items():
        arrays |= {f"{name}/{part}": array for part, array in vars(split).items()}
    np.savez_compressed(path, plain=json.dumps(plain), **arrays)  # type: ignore[arg-type]


def load(path: Path) -> TokenisedCorpus:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as found:
        arrays = dict(found)
    plain = json.loads(str(arrays.pop("plain")))
    sentence1, sentence2 = plain.pop("sentences")
    specials, types = arrays.pop("special_ids"), arrays.pop("types")
    parts: dict[Any, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        split, _, part = key.partition("/")
        parts.setdefault(split, {})[part] = array
    return TokenisedCorpus(
        languages=tuple(plain.pop("languages")),
        template=PairTemplate(specials, sentence1, sentence2, types),
        splits={name: TokenisedSplit(**split) for name, split in parts.items()},
        **plain,
    )


def main() -> None:
    """Tokenise and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pawsx", type=Path, metavar="PAWSX-FOLDER")
    parser.add_argument("vocabulary", type=Path, metavar="MBERT-VOCAB-FOLDER")
    parser.add_argument("out", type=Path, metavar="tokens.npz")
    asked = parser.parse_args()
    from transformers import AutoTokenizer

    from tuner.data.sources import load_corpus
    from tuner.data.tokenise import tokenise
    from tuner.study.data import DirectoryData

    data = DirectoryData(source="directory", path=asked.pawsx)
    corpus = load_corpus(data, [*SOURCES, *TARGETS], list(SOURCES))
    tokenizer = AutoTokenizer.from_pretrained(asked.vocabulary)
    assert len(tokenizer) == VOCABULARY, "vocab.txt beside a tokenizer_config.json"
    save(tokenise(corpus, tokenizer, MAX_LENGTH), asked.out)


if __name__ == "__main__":
    main()
