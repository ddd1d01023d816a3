"""Small tokenizers and corpora of their words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from tuner.data.corpus import Corpus, Row

WORDS = ["a", "b", "c", "##b", "##c", "x", "y"]


def wordpiece(folder: Path, vocabulary: Path | None = None, **settings: Any) -> Any:
    """A BERT tokenizer from a folder, the way that loads its vocabulary in transformers 5."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    text = vocabulary.read_text("utf-8") if vocabulary else "\n".join([*specials, *WORDS])
    (folder / "vocab.txt").write_text(text, "utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "model_max_length": 512}'
    )
    return AutoTokenizer.from_pretrained(folder, **settings)


def words(template: str, names: list[str], **settings: Any) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words that joins pairs by a template."""
    entries = {
        token: number for number, token in enumerate([*names, "<pad>", "<unk>", "abc", *WORDS])
    }
    backend = Tokenizer(models.WordLevel(entries, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A", pair=template, special_tokens=[(name, entries[name]) for name in names]
    )
    settings = {"pad_token": "<pad>", "unk_token": "<unk>", **settings}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def roberta(**settings: Any) -> PreTrainedTokenizerFast:
    names = ["input_ids", "attention_mask"]
    return words("<s> $A </s> </s> $B </s>", ["<s>", "</s>"], model_input_names=names, **settings)


def odd_types() -> PreTrainedTokenizerFast:
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return words("<s>:1 <t> $A:2 </s>:1 <t> $B:0", ["<s>", "</s>", "<t>"], model_input_names=names)


def corpus_of(**languages: list[tuple[str, str]]) -> Corpus:
    rows = {
        language: {str(n): Row(str(n), *pair, n % 2) for n, pair in enumerate(pairs)}
        for language, pairs in languages.items()
    }
    return Corpus(tuple(languages), ("0", "1"), {"dev": rows}, (), machine_translated=False)


def made_corpus() -> Corpus:
    """Two languages; sentences of 1 to 9 tokens, each length with each."""
    pairs = [(i, j) for i in range(1, 10) for j in range(1, 10)]
    ab = [(" ".join(["a", "abc", "c"] * 3)[: 2 * i], "b " * j) for i, j in pairs]
    xy = [("x " * j, "y " * i) for i, j in pairs]
    return corpus_of(ab=ab, xy=xy)
