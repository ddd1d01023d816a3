"""A tiny encoder of every architecture with a masked language model in transformers, and others.

Sizes are as small as the architecture lets them be; weights are random and large, so that a
difference shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedTokenizerFast
from transformers.utils import logging

from tuner.study import StudyConfig

VOCABULARY, HIDDEN, LAYERS, POSITIONS = 120, 32, 2, 66
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
DISTILBERT = {"dim": HIDDEN, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 48}
XLM = {"emb_dim": HIDDEN, "n_layers": LAYERS, "n_heads": 2, "init_std": 0.2, "embed_init_std": 0.2}
ALBERT = {"embedding_size": 16}
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
VISION |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
XMOD = {"languages": ["en_XX", "de_DE", "fr_XX"]}
MOBILEBERT = {"embedding_size": HIDDEN, "intra_bottleneck_size": 16, "num_feedforward_networks": 1}
FUNNEL = {
    "block_sizes": [1, 1],
    "block_repeats": [1, 1],
    "d_model": HIDDEN,
    "d_head": 16,
    "n_head": 2,
    "d_inner": 48,
}
REFORMER = {"axial_pos_embds": False, "attn_layers": ["local", "lsh"], "attention_head_size": 16}
REFORMER |= {"local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4, "feed_forward_size": 48}
REFORMER |= {"is_decoder": False, "num_buckets": 2}
BIG_BIRD = {"block_size": 2, "num_random_blocks": 1}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": ("albert", ALBERT),
    "albert, inner_group_num 2": ("albert", ALBERT | {"inner_group_num": 2}),
    "bart": ("bart", {"d_model": HIDDEN}),
    "bert": ("bert", {}),
    "bert, is_decoder": ("bert", {"is_decoder": True}),
    "big_bird": ("big_bird", BIG_BIRD),
    "big_bird, original_full": ("big_bird", BIG_BIRD | {"attention_type": "original_full"}),
    "camembert": ("camembert", {}),
    "canine": ("canine", {}),
    "convbert": ("convbert", {"embedding_size": 16}),
    "data2vec-text": ("data2vec-text", {}),
    "deberta": ("deberta", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta-v2": (
        "deberta-v2",
        {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    ),
    "distilbert": ("distilbert", DISTILBERT),
    "electra": ("electra", {"embedding_size": 16}),
    "ernie": ("ernie", {}),
    "esm": ("esm", {"mask_token_id": 4, "token_dropout": True}),
    "esmc": ("esmc", {"mask_token_id": 4}),
    "eurobert": ("eurobert", {"mask_token_id": 4, "num_key_value_heads": 2}),
    "flaubert": ("flaubert", XLM),
    "fnet": ("fnet", {}),
    "funnel": ("funnel", FUNNEL),
    "gpt2": ("gpt2", {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 2}),
    "gte": ("gte", {}),
    "ibert": ("ibert", {}),
    "jina_embeddings_v3": ("jina_embeddings_v3", {}),
    "layoutlm": ("layoutlm", {}),
    "longformer": ("longformer", {"attention_window": 4}),
    "luke": ("luke", {"entity_vocab_size": 5, "entity_emb_size": 8}),
    "mbart": ("mbart", {"d_model": HIDDEN}),
    "megatron-bert": ("megatron-bert", {}),
    "mobilebert": ("mobilebert", MOBILEBERT),
    "modernbert": ("modernbert", {"cls_token_id": 2, "sep_token_id": 3}),
    "modernvbert": ("modernvbert", {}),
    "mpnet": ("mpnet", {}),
    "mra": ("mra", {}),
    "mvp": ("mvp", {"d_model": HIDDEN}),
    "neomme": ("neomme", {"num_key_value_heads": 2, "head_dim": 16, "embedding_rank": 16}),
    "nomic_bert": ("nomic_bert", {}),
    "nystromformer": ("nystromformer", {}),
    "perceiver": ("perceiver", {}),
    "reformer": ("reformer", REFORMER),
    "rembert": ("rembert", {}),
    "roberta": ("roberta", {}),
    "roberta-prelayernorm": ("roberta-prelayernorm", {}),
    "roc_bert": ("roc_bert", {}),
    "roformer": ("roformer", {}),
    "squeezebert": ("squeezebert", {"embedding_size": HIDDEN}),
    "tapas": ("tapas", {}),
    "ultrabert": ("ultrabert", {}),
    "ultravbert": ("ultravbert", {}),
    "xlm": ("xlm", XLM | {"n_langs": 2, "lang2id": {"en": 0, "de": 1}}),
    "xlm, one language": ("xlm", XLM),
    "xlm-roberta": ("xlm-roberta", {}),
    "xlm-roberta, is_decoder": ("xlm-roberta", {"is_decoder": True}),
    "xlm-roberta-xl": ("xlm-roberta-xl", {}),
    "xlnet": ("xlnet", {"d_head": 16}),
    "xmod": ("xmod", XMOD),
    "yoso": ("yoso", {}),
}
"""By name: the type, and what its configuration says beside the sizes."""
DROPPED = {"funnel": ("num_hidden_layers",), "xlnet": ("max_position_embeddings",)}
"""Sizes that a type's configuration has no place for."""
PADDED_WITH_1 = {"roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert"}
PADDED_WITH_1 |= {"xmod", "data2vec-text", "ibert", "longformer", "mpnet", "esm", "luke"}
"""Types that number positions as RoBERTa does, and are padded as it is."""
FIRST_OF_MANY = {"funnel": "FunnelModel"}
"""The class that is meant, of types that have several."""
ONLY_A_CONFIGURATION = {"bart", "canine", "mbart", "mvp", "modernvbert", "neomme", "perceiver"}
ONLY_A_CONFIGURATION |= {"roc_bert", "tapas", "ultravbert", "xlnet", "gpt2", "layoutlm"}
"""Refused for what they are: there is nothing to run."""
POOLER_ON_DEMAND = {"nomic_bert", "gte"}
"""Types that have a pooler only where it is asked for."""
LANGUAGES = ("en", "de")
MAX_LENGTH = 24


def saved(name: str, folder: Path) -> PretrainedConfig:
    """Save an architecture's encoder with a tokenizer, as users have them."""
    kind, more = ARCHITECTURES[name]
    sizes = {key: value for key, value in SIZES.items() if key not in DROPPED.get(kind, ())}
    if kind in PADDED_WITH_1:
        sizes["pad_token_id"] = 1
    config: PretrainedConfig = AutoConfig.for_model(kind, **{**sizes, **more})
    config.architectures = [FIRST_OF_MANY[kind]] if kind in FIRST_OF_MANY else None
    types = getattr(config, "type_vocab_size", None) or 0
    made = tokenizer(isinstance(types, int) and types > 1, kind in PADDED_WITH_1)
    made.save_pretrained(folder)
    if kind in ONLY_A_CONFIGURATION:
        config.save_pretrained(folder)
        return config
    torch.manual_seed(0)
    pooler = {"add_pooling_layer": True} if kind in POOLER_ON_DEMAND else {}
    model = AutoModel.from_config(config, **pooler)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # whatever the architecture's own start is
                parameter.copy_(0.2 * torch.randn_like(parameter))
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    logging.enable_progress_bar()
    return config


def tokenizer(types: bool, padded_with_1: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of words w0, w1, ... alone; pairs are joined as BERT's are."""
    specials = [SPECIALS[1], SPECIALS[0], *SPECIALS[2:]] if padded_with_1 else SPECIALS
    words = [*specials, *(f"w{number}" for number in range(VOCABULARY - len(SPECIALS)))]
    fast = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] $B:{int(types)} [SEP]:{int(types)}",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    inputs = ["input_ids", "attention_mask", *["token_type_ids"] * types]
    return PreTrainedTokenizerFast(
        tokenizer_object=fast,
        model_input_names=inputs,
        model_max_length=POSITIONS - 2,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    )


def data(folder: Path, ids: int = 24) -> dict[str, Any]:
    """Write pairs of 2 to 9 words in two languages, of half of the words; a study's `data:`."""
    random = np.random.default_rng(0)
    for split in ("train", "dev"):
        for language in LANGUAGES:
            lines = [
                json.dumps(
                    {
                        "id": str(number),
                        "sentence1": _words(random),
                        "sentence2": _words(random),
                        "label": number % 2,
                    }
                )
                for number in range(ids)
            ]
            (folder / f"{split}.{language}.jsonl").write_text("\n".join(lines))
    paths = {split: f"{folder}/{split}.{{language}}.jsonl" for split in ("train", "dev")}
    return {"source": "files", "machine_translated": [], **paths}


def study(encoder: Path, data: dict[str, Any], **trial: Any) -> StudyConfig:
    """A study of one trial in two languages, none of its pairs in both."""
    return StudyConfig.model_validate(
        {
            "name": "architectures",
            "storage": str(encoder / "studies"),
            "encoder": {"name": str(encoder), "max_length": MAX_LENGTH},
            "data": data,
            "languages": {"source": LANGUAGES, "target": []},
            "protocol": {"objective": "mean"},
            "budget": {"pairs_per_trial": 16, "trials": 1},
            "scheduler": {"kind": "none"},
            "trial": {"mix.cross_lingual": 0, "batch.effective_size": 8, "optim.lr": 1e-3} | trial,
            "space": {"optim.lr": [1e-3, 2e-3]},
        }
    )


def _words(random: np.random.Generator) -> str:
    chosen = random.integers(0, (VOCABULARY - len(SPECIALS)) // 2, random.integers(2, 10))
    return " ".join(f"w{2 * number}" for number in chosen)
