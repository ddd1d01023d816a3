from __future__ import annotations

import json
import pickle  # noqa: TID251 - as Ray sends it to workers
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    GPT2Config,
    T5Config,
)

from tuner.data import nano
from tuner.errors import UserError
from tuner.model.encoder import PretrainedEncoder, load_encoder, load_tokenizer
from tuner.study.parts import EncoderConfig

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
ARCHITECTURES = ("bert", "xlm-roberta", "distilbert")
INPUT = {"input_ids": torch.tensor([[2, 5, 9, 3]]), "attention_mask": torch.tensor([[1, 1, 1, 1]])}


def at(folder: Path, max_length: int = 20) -> EncoderConfig:
    return EncoderConfig(name=str(folder), max_length=max_length)


@pytest.fixture
def bert(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the tiny BERT that a test may break."""
    return Path(shutil.copytree(folders["bert"], tmp_path / "bert"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_built_encoder_computes_what_transformers_does(
    architecture: str, folders: dict[str, Path], encoders: dict[str, PretrainedEncoder]
) -> None:
    ours = encoders[architecture].build()
    theirs = AutoModel.from_pretrained(folders[architecture])

    assert ours.training
    with torch.inference_mode():
        hidden = ours.eval()(**INPUT).last_hidden_state
    assert torch.equal(hidden, theirs(**INPUT).last_hidden_state)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_facts_of_an_encoder(architecture: str, encoders: dict[str, PretrainedEncoder]) -> None:
    encoder = encoders[architecture]
    assert (encoder.num_layers, encoder.hidden_size) == (3, 16)
    assert encoder.has_pooler is (architecture != "distilbert")
    assert all(array.dtype == np.float32 for array in encoder.weights.values())


def test_building_needs_no_file_and_survives_a_store_of_read_only_arrays(bert: Path) -> None:
    encoder = pickle.loads(pickle.dumps(load_encoder(at(bert))))
    shutil.rmtree(bert)
    for array in encoder.weights.values():
        array.flags.writeable = False
    first, second = encoder.build(), encoder.build()
    before = {name: array.copy() for name, array in encoder.weights.items()}
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1)

    for name, tensor in second.state_dict().items():
        assert np.array_equal(tensor.numpy(), before[name])
        assert np.array_equal(encoder.weights[name], before[name])


def test_checksum_is_of_the_content_not_the_place(bert: Path, folders: dict[str, Path]) -> None:
    original = load_encoder(at(folders["bert"]))
    assert load_encoder(at(bert)).checksum == original.checksum
    assert str(bert) not in json.dumps(load_encoder(at(bert)).config)

    weights = load_file(bert / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7, 3] += 1e-6
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    assert load_encoder(at(bert)).checksum != original.checksum


def test_missing_pooler_is_no_pooler(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    BertForMaskedLM(config).save_pretrained(tmp_path)  # masked language models have no pooler

    encoder = load_encoder(at(tmp_path))

    assert not encoder.has_pooler
    assert not any("pooler" in name for name in encoder.weights)
    assert not list(encoder.build().pooler.parameters())


def test_a_checkpoint_as_googles_of_mbert(tmp_path: Path) -> None:
    """Whole pre-training model, prefixed names, LayerNorm's weights as gamma and beta."""
    config = BertConfig(**SIZES, max_position_embeddings=20)
    BertForPreTraining(config).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = {name: tensor + 0.25 for name, tensor in load_file(file).items()}
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in weights.items():
        ending = ".".join(name.split(".")[-2:])
        renamed[name.removesuffix(ending) + old.get(ending, ending)] = tensor
    save_file(renamed, file, metadata={"format": "pt"})
    encoder = load_encoder(at(tmp_path))
    assert encoder.has_pooler
    assert encoder.weights
    for name, array in encoder.weights.items():
        assert np.array_equal(array, weights[f"bert.{name}"].numpy()), name


def test_other_missing_weights_are_refused(bert: Path) -> None:
    weights = load_file(bert / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 of its weights: encoder\.layer\.1\.output"):
        load_encoder(at(bert))


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def truncated(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("break_it", "remedy"),
    [
        (only_pickles, "AutoModel.from_pretrained"),
        (no_config, "Copy it there"),
        (truncated, "save_pretrained"),
    ],
)
def test_broken_folders_are_refused(
    break_it: Callable[[Path], None], remedy: str, bert: Path
) -> None:
    break_it(bert)
    with pytest.raises(UserError, match="cannot be loaded") as refused:
        load_encoder(at(bert))
    assert remedy in refused.value.remedy


def test_a_missing_folder_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_encoder(at(tmp_path / "nowhere"))


@pytest.mark.parametrize("load", [load_encoder, load_tokenizer])
def test_unreachable_hub(
    load: Callable[[EncoderConfig], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="hub cannot be reached") as refused:
        load(EncoderConfig(name="bert-base-multilingual-cased"))
    assert "HF_HUB_OFFLINE" in refused.value.remedy


@pytest.mark.parametrize("config", [GPT2Config(), T5Config()], ids=["gpt2", "t5"])
def test_other_than_encoders_are_refused(config: GPT2Config | T5Config, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"of type {config.model_type}, not an encoder-only"):
        load_encoder(at(tmp_path))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_max_length_is_at_most_the_positions(architecture: str, folders: dict[str, Path]) -> None:
    folder = folders[architecture]
    longest = load_encoder(at(folder, max_length=20)).build().eval()
    longest(input_ids=torch.full((1, 20), 5), attention_mask=torch.ones(1, 20, dtype=torch.long))
    with pytest.raises(UserError, match="must be at most 20") as refused:
        load_encoder(at(folder, max_length=21))
    assert "got 21" in refused.value.problem


def write_tokenizer(folder: Path, entries: int, vocabulary: str = "vocab.txt") -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [f"word{i}" for i in range(entries - len(tokens))]
    (folder / vocabulary).write_text("\n".join(tokens))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')


@pytest.mark.parametrize("entries", [25, 47, 50])
def test_tokenizer_with_the_encoders_vocabulary(entries: int, bert: Path) -> None:
    write_tokenizer(bert, entries)
    assert len(load_tokenizer(at(bert))) == entries


@pytest.mark.parametrize("entries", [24, 51])
def test_tokenizer_with_another_vocabulary_is_refused(entries: int, bert: Path) -> None:
    write_tokenizer(bert, entries)
    with pytest.raises(UserError, match=f"has {entries} entries for an embedding of 50 rows"):
        load_tokenizer(at(bert))


def test_tokenizer_without_its_vocabulary_is_refused(bert: Path) -> None:
    write_tokenizer(bert, 50, vocabulary="somewhere-else.txt")
    with pytest.raises(UserError, match=r"has none of tokenizer\.json, vocab\.txt"):
        load_tokenizer(at(bert))


def test_nano_is_built_in() -> None:
    config = EncoderConfig(name="nano", max_length=32)
    encoder = load_encoder(config)
    folder = load_encoder(at(nano.encoder_folder()))
    assert encoder.name == "nano"
    assert encoder.has_pooler
    assert encoder.checksum == folder.checksum
    assert len(load_tokenizer(config)) == encoder.config["vocab_size"]


def test_loading_is_silent(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    load_encoder(at(folders["bert"])).build()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("BertForSequenceClassification", "classifier"),
        ("BertForTokenClassification", "classifier"),
        ("BertForQuestionAnswering", "qa_outputs"),
        ("DistilBertForSequenceClassification", "classifier"),
        ("XLMRobertaForSequenceClassification", "classifier"),
        ("BertForPreTraining", ""),
        ("BertForMaskedLM", ""),
        ("DistilBertForMaskedLM", ""),
        ("XLMRobertaForMaskedLM", ""),
        ("ElectraForPreTraining", ""),
        ("AlbertForPreTraining", ""),
        ("BertModel", ""),
    ],
)
def test_a_head_for_a_task_is_told_from_those_of_pre_training(
    model: str, head: str, tmp_path: Path
) -> None:
    kind = getattr(transformers, model)
    sizes = {"embedding_size": 16} if model.startswith(("Albert", "Electra")) else {}
    sizes |= {"max_position_embeddings": 40}
    kind(kind.config_class(**SIZES, **sizes)).save_pretrained(tmp_path)
    found = load_encoder(at(tmp_path)).task_head
    assert (found == head) if head != "classifier" else found in ("classifier", "pre_classifier")
