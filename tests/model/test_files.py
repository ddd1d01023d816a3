"""Files in people's encoder folders: refused with a reason, and a remedy that works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM
from transformers.models.auto.tokenization_auto import (
    TOKENIZER_MAPPING_NAMES,
    tokenizer_class_from_name,
)

from tests.model.architectures import ARCHITECTURES
from tests.model.conftest import MODELS
from tuner.data import nano
from tuner.errors import UserError
from tuner.model.architectures import REFUSED
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.fetching import HubAway
from tuner.model.files import TOKENIZERS
from tuner.model.shape import check_encoder, check_fits, describe_encoder
from tuner.study import StudyConfig
from tuner.study.file import override, validate_study
from tuner.study.parts import EncoderConfig

STUDY = {
    "name": "small",
    "data": {"source": "nano"},
    "encoder": {"name": "nano", "max_length": 32},
    "languages": {"source": ["en", "de"]},
    "budget": {"trials": 9, "pairs_per_trial": 900},
    "space": {"optim.lr": [1e-4, 1e-3]},
}


@pytest.fixture
def bert(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A tiny BERT with a tokenizer, which a test may break."""
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "bert"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(45))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder


def at(folder: Path) -> EncoderConfig:
    return EncoderConfig(name=str(folder), max_length=20)


def refused(folder: Path, words: str) -> UserError:
    """Return the message about a folder from its files alone, and again when it is loaded."""
    study = validate_study({**STUDY, "encoder": {"name": str(folder), "max_length": 20}}, "here")
    with pytest.raises(UserError, match=words) as early:
        check_encoder(study)
    load: Callable[[EncoderConfig], object] = load_encoder
    if "tokenizer" in early.value.problem:
        load = load_tokenizer
    with pytest.raises(UserError) as late:
        load(at(folder))
    assert str(late.value) == str(early.value)
    assert early.value.remedy
    return early.value


def test_a_sound_folder_is_taken(bert: Path) -> None:
    load_encoder(at(bert))
    load_tokenizer(at(bert))
    study = validate_study({**STUDY, "encoder": {"name": str(bert), "max_length": 20}}, "here")
    assert check_encoder(study).num_layers == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float, bert: Path) -> None:
    weights = load_file(bert / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][3] = value
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 of 16 numbers in encoder\.layer\.1\.output") as told:
        load_encoder(at(bert))
    assert "float32" in told.value.remedy


def test_the_remedy_for_pickled_weights_converts_them(bert: Path) -> None:
    weights = load_file(bert / "model.safetensors")
    torch.save(weights, bert / "pytorch_model.bin")  # noqa: TID251 (as others do)
    (bert / "model.safetensors").unlink()
    remedy = refused(bert, "only weights in pickle").remedy
    python, option, code = shlex.split(remedy.partition(": ")[2])
    assert (python, option) == ("python", "-c")
    exec(code)
    converted = load_encoder(at(bert.with_name("bert-new")))
    load_tokenizer(at(bert.with_name("bert-new")))
    for name, array in converted.weights.items():
        assert torch.equal(torch.tensor(array), weights[name])


def test_the_remedy_for_a_model_of_sentence_transformers_names_the_encoder(bert: Path) -> None:
    outer = bert.with_name("outer")
    shutil.copytree(bert, outer / "0_Transformer")
    (outer / "1_Pooling").mkdir()
    (outer / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (outer / "modules.json").write_text("[]")
    remedy = refused(outer, "keeps its encoder in 0_Transformer").remedy
    load_encoder(at(Path(remedy.removeprefix("Set encoder.name to "))))


def test_a_model_of_sentence_transformers_with_its_encoder_at_the_root_is_taken(bert: Path) -> None:
    (bert / "modules.json").write_text("[]")
    (bert / "1_Pooling").mkdir()
    (bert / "1_Pooling" / "config.json").write_text("{}")
    load_encoder(at(bert))


def shards(folder: Path, **of: str) -> None:
    """Weights in two files, as an index says; `of` replaces names in it."""
    MODELS["bert"]().save_pretrained(folder, max_shard_size="6kB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    index = folder / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    first = sorted(set(told["weight_map"].values()))[0]
    for name, shard in told["weight_map"].items():
        told["weight_map"][name] = of.get("first", first) if shard == first else shard
    index.write_text(json.dumps(told))


@pytest.mark.parametrize("outside", ["../secret.safetensors", "/etc/x.safetensors", "a/b", "\n"])
def test_an_index_does_not_lead_outside_the_folder(outside: str, bert: Path) -> None:
    save_file({"embeddings.word_embeddings.weight": torch.ones(50, 16)}, bert / "x")
    shutil.move(bert / "x", bert.parent / "secret.safetensors")
    shards(bert, first=outside)
    refused(bert, "which is not a safetensors file in the folder")


def test_a_shard_that_is_missing_is_named(bert: Path) -> None:
    shards(bert)
    gone = sorted(bert.glob("model-*.safetensors"))[1]
    gone.unlink()
    refused(bert, f"there is no {gone.name}")


def test_what_lies_beside_the_weights_does_not_count(bert: Path) -> None:
    """transformers reads model.safetensors alone, and so is the size of it."""
    shape = describe_encoder(at(bert))
    save_file({"embeddings.more": torch.ones(5, 5)}, bert / "model-old.safetensors")
    assert describe_encoder(at(bert)) == shape


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_pipe_is_not_opened(name: str, bert: Path) -> None:
    (bert / name).unlink()
    os.mkfifo(bert / name)
    refused(bert, f"{name} is a pipe or a device, not a file")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_device_is_not_opened(name: str, bert: Path) -> None:
    (bert / name).unlink()
    (bert / name).symlink_to("/dev/zero")
    refused(bert, f"{name} is a pipe or a device, not a file")


def test_links_to_files_are_followed(bert: Path) -> None:
    """The hub's cache is made of them."""
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        shutil.move(bert / name, bert.parent / f"blob-{name}")
        (bert / name).symlink_to(f"../blob-{name}")
    load_encoder(at(bert))
    load_tokenizer(at(bert))


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


def test_pointers_of_git_lfs(bert: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (bert / "model.safetensors").write_text(pointer)
    assert "lfs pull" in refused(bert, "only Git LFS's pointer").remedy


def test_a_tokenizer_that_is_broken(bert: Path) -> None:
    (bert / "tokenizer.json").write_text("{}")
    refused(bert, r"tokenizer\.json does not hold a tokenizer")


def test_a_head_of_another_task_is_no_other_model(bert: Path) -> None:
    BertForMaskedLM(MODELS["bert"]().config).save_pretrained(bert)
    assert describe_encoder(at(bert)).num_layers == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("./bret", r"did you mean the folder \S*/bert\?"),
        ("models/mbrt", r"did you mean the folder models/mbert\?"),
        ("models/other", r"models is a folder here, and has no folder other \(it has: mbert\)"),
        ("models/mbert/config.json", "is a file here: name the folder that holds it"),
    ],
)
def test_a_misspelt_folder(
    name: str, hint: str, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the name could be the hub's, which does not answer."""
    shutil.copytree(bert, bert.parent / "models" / "mbert")
    monkeypatch.chdir(bert.parent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=hint):
        describe_encoder(EncoderConfig(name=name))


def test_an_encoder_in_the_hubs_cache(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Described while the hub is away, unless some of its weights are not there."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    repository, commit = cache / "models--org--mine", "a" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = Path(shutil.copytree(bert, repository / "snapshots" / commit))
    encoder = EncoderConfig(name="org/mine", max_length=20)
    assert describe_encoder(encoder) == describe_encoder(at(bert))
    shards(snapshot)
    assert describe_encoder(encoder) == describe_encoder(at(bert))
    for gone in (sorted(snapshot.glob("model-*"))[0], snapshot / "model.safetensors.index.json"):
        gone.unlink()
        with pytest.raises(HubAway, match="hub cannot be reached"):
            describe_encoder(encoder)


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


def test_nano_is_taken() -> None:
    assert describe_encoder(EncoderConfig(name=str(nano.encoder_folder()))).num_layers == 4


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
