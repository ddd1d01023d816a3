"""Configurations and tokenizers in people's encoder folders: refused with a reason and a remedy."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from transformers import BertForMaskedLM
from transformers.models.auto.tokenization_auto import (
    TOKENIZER_MAPPING_NAMES,
    tokenizer_class_from_name,
)

from tests.model.architectures import ARCHITECTURES
from tests.model.conftest import MODELS
from tests.model.examples import STUDY, at, refused
from tuner.errors import UserError
from tuner.model.architectures import REFUSED
from tuner.model.encoder import load_encoder
from tuner.model.files import TOKENIZERS
from tuner.model.shape import check_fits, describe_encoder
from tuner.study import StudyConfig
from tuner.study.file import override, validate_study
from tuner.study.parts import EncoderConfig


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not JSON"),
        (b'{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"a": "\\udc80"}', "half a character"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep"),
        (b"[]", "is not a JSON object"),
        (b"{}", "must name a model_type"),
        (b'{"model_type": "bert"}', "has no num_hidden_layers"),
    ],
)
def test_configurations(content: bytes, words: str, bert: Path) -> None:
    (bert / "config.json").write_bytes(content)
    refused(bert, words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *[
            ({"num_hidden_layers": value}, "num_hidden_layers in config.json must be a whole")
            for value in (0, -1, 2.5, "3", True, [3], 10**12)
        ],
        ({"hidden_size": -16}, "hidden_size in config.json must be a whole number"),
        ({"hidden_size": 64}, "has the 64 channels"),
        ({"vocab_size": 51}, "has the 51 rows"),
        ({"num_hidden_layers": 4}, "says 4 layers, but the weights have 3"),
        ({"max_position_embeddings": "20"}, "max_position_embeddings in config.json must be"),
        ({"max_position_embeddings": 0}, "max_position_embeddings in config.json must be"),
        ({"seen_languages": "en"}, "must be a list of language codes, got 'en'"),
        ({"seen_languages": ["en", 7]}, "must be a list of language codes"),
        ({"seen_languages": {"en": 1}}, "must be a list of language codes"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised by gptq"),
        ({"is_encoder_decoder": True}, "of type bert, not an encoder-only model: it has a decoder"),
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel generates text"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "m.M"}}, "needs code that comes with it"),
    ],
)
def test_values_of_a_configuration(values: dict[str, Any], words: str, bert: Path) -> None:
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | values))
    refused(bert, words)


def test_masked_language_models_do_not_generate(bert: Path) -> None:
    config = json.loads((bert / "config.json").read_text())
    for each in ("BertForMaskedLM", "XLMWithLMHeadModel", "ElectraForPreTraining"):
        (bert / "config.json").write_text(json.dumps(config | {"architectures": [each]}))
        load_encoder(at(bert))


def test_code_beside_an_architecture_that_transformers_has_is_not_needed(bert: Path) -> None:
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "m.M"}}))
    load_encoder(at(bert))


def test_an_adapter_alone(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "adapter_model.safetensors")
    (bert / "adapter_config.json").write_text("{}")
    refused(bert, r"holds only an adapter \(PEFT\)")


def test_a_tokenizer_that_is_broken(bert: Path) -> None:
    (bert / "tokenizer.json").write_text("{}")
    refused(bert, r"tokenizer\.json does not hold a tokenizer")


def test_a_head_of_another_task_is_no_other_model(bert: Path) -> None:
    BertForMaskedLM(MODELS["bert"]().config).save_pretrained(bert)
    assert describe_encoder(at(bert)).num_layers == 3


def fits(study: dict[str, Any]) -> StudyConfig:
    made = validate_study(study, "here")
    check_fits(made, describe_encoder(EncoderConfig(name="nano", max_length=32)))
    return made


LAYERED = {"fusion.kind": ["last", "dlfa"]}
WHEN = {"when": {"fusion.kind": ["dlfa"]}}


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": {"name": "nano", "max_length": 64}},
        {"trial": {"fusion.kind": "sum", "fusion.layer": 9}},
        {"baseline": {"fusion.kind": "sum", "fusion.layer": 9}},
        {"space": LAYERED | {"fusion.layer": {"type": "int", "low": 0, "high": 12} | WHEN}},
        {"space": LAYERED | {"fusion.layer": {"type": "int", "low": 8, "high": 12} | WHEN}},
        {"space": LAYERED | {"fusion.layer": {"type": "choice", "values": [1, 6]} | WHEN}},
        {"space": LAYERED | {"fusion.layer": {"type": "fixed", "value": 6} | WHEN}},
        {"space": {"fusion.layer": [1, 6]}, "trial": {"fusion.kind": "sum"}},
        {"space": {"fusion.layer": [6, 7]}, "trial": {"fusion.kind": "sum"}},
        {"space": {"fusion.layer": 6}, "trial": {"fusion.kind": "sum"}},
        {
            "space": {"fusion.layer": {"type": "power_of_two", "low": 1, "high": 8}},
            "trial": {"fusion.kind": "sum"},
            "baseline": {"fusion.layer": 5},
        },
        {"trial": {"fusion.kind": "dlfa", "fusion.layer": 1, "fusion.reduction": 65}},
        {
            "trial": {"fusion.kind": "dlfa", "fusion.layer": 1},
            "space": {"fusion.reduction": {"type": "power_of_two", "low": 1, "high": 256}},
        },
    ],
)
def test_the_remedy_for_what_does_not_fit_makes_it_fit(changes: dict[str, Any]) -> None:
    study: dict[str, Any] = json.loads(json.dumps({**STUDY, **changes}))
    with pytest.raises(UserError) as told:
        fits(study)
    words = shlex.split(re.split(r"[;,] (?=the last|or less)", told.value.remedy)[0])
    options = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert options
    for option in options:
        override(study, option)
    fits(study)


def test_every_tokenizer_s_vocabulary_is_looked_for() -> None:
    kinds = {kind for kind, _ in ARCHITECTURES.values()} - set(REFUSED)
    names = {kind: TOKENIZER_MAPPING_NAMES.get(kind) for kind in sorted(kinds)}
    files = {
        kind: tokenizer_class_from_name(name).vocab_files_names["vocab_file"]
        for kind, name in names.items()
        if name is not None and kind != "esmc"  # it has a tokenizer.json alone
    }
    assert len(files) > 25
    assert files["rembert"] == "sentencepiece.model"
    assert set(files.values()) <= set(TOKENIZERS)
