"""Facts read of encoders without loading them, beside those that loading gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from tests.model.conftest import MODELS, SIZES
from tuner.errors import UserError
from tuner.model.encoder import PretrainedEncoder
from tuner.model.fusion import build_fusion
from tuner.model.shape import EncoderShape, added_parameters, describe_encoder
from tuner.study.fusions import FUSIONS
from tuner.study.parts import EncoderConfig
from tuner.study.trial import FusionConfig


@pytest.mark.parametrize("architecture", MODELS)
def test_it_is_the_shape_of_what_is_loaded(
    architecture: str, folders: dict[str, Path], encoders: dict[str, PretrainedEncoder]
) -> None:
    found = describe_encoder(EncoderConfig(name=str(folders[architecture]), max_length=20))
    assert found == encoders[architecture].shape
    assert found.num_layers == 3 and found.hidden_size == 16


def test_heads_of_other_tasks_do_not_count(tmp_path: Path) -> None:
    """The tokenizer of mBERT's own files."""
    model = BertForPreTraining(BertConfig(**SIZES, max_position_embeddings=20))
    model.save_pretrained(tmp_path)
    found = describe_encoder(EncoderConfig(name=str(tmp_path), max_length=20))
    parameters = sum(parameter.numel() for parameter in model.bert.parameters())
    assert found == EncoderShape(3, 16, parameters, positions=20)


def test_weights_in_several_files_count_together(tmp_path: Path) -> None:
    model = MODELS["bert"]()
    model.save_pretrained(tmp_path, max_shard_size="6kB")
    assert len(list(tmp_path.glob("model*.safetensors"))) > 1
    found = describe_encoder(EncoderConfig(name=str(tmp_path), max_length=20))
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", b"{}", "must name a model_type, got None"),
        ("config.json", b'{"model_type": "bert"}', "has no num_hidden_layers"),
        ("config.json", b"no JSON", "configuration of"),
        ("config.json", None, "configuration of"),
        ("model.safetensors", b"nothing", "weights of"),
        ("model.safetensors", None, "no model.safetensors in"),
    ],
)
def test_what_cannot_be_read_is_told(
    name: str, content: bytes | None, told: str, tmp_path: Path
) -> None:
    MODELS["bert"]().save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=told):
        describe_encoder(EncoderConfig(name=str(tmp_path), max_length=20))


@pytest.mark.parametrize("reduction", [1, 3, 4])
@pytest.mark.parametrize("kind", FUSIONS)
def test_what_fusion_and_head_add_is_counted_as_torch_does(kind: str, reduction: int) -> None:
    layer = 1 if FUSIONS[kind].fuses else None
    config = FusionConfig(kind=kind, layer=layer, reduction=reduction)
    modules = [build_fusion(config, 16, 3), torch.nn.Linear(16, 2)]
    counted = sum(p.numel() for module in modules for p in module.parameters())
    assert added_parameters(config, 16) == counted


def test_a_plan_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "import tuner.plan.command\n"
        "assert not {'torch', 'transformers', 'ray', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
