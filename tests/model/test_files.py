"""Files in people's encoder folders: refused with a reason, and a remedy that works."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model.conftest import MODELS
from tests.model.examples import STUDY, at, refused
from tuner.data import nano
from tuner.errors import UserError
from tuner.model.encoder import load_encoder, load_tokenizer
from tuner.model.fetching import HubAway
from tuner.model.shape import check_encoder, describe_encoder
from tuner.study.file import validate_study
from tuner.study.parts import EncoderConfig


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


def test_pointers_of_git_lfs(bert: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (bert / "model.safetensors").write_text(pointer)
    assert "lfs pull" in refused(bert, "only Git LFS's pointer").remedy


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


def test_nano_is_taken() -> None:
    assert describe_encoder(EncoderConfig(name=str(nano.encoder_folder()))).num_layers == 4
