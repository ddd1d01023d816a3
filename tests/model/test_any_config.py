"""config.json with each field dropped or of another type: the encoder is loaded, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.model.conftest import MODELS
from tuner.errors import UserError
from tuner.model.encoder import load_encoder
from tuner.model.shape import describe_encoder
from tuner.study.parts import EncoderConfig

DROPPED = object()
VALUES = [DROPPED, None, True, -1, 10**12, 2.5, "x", [1], {"a": "\ud800"}]
MORE = (
    "seen_languages",
    "quantization_config",
    "auto_map",
    "is_decoder",
    "n_positions",
    "id2label",
)
FIELDS = [*json.loads(MODELS["bert"]().config.to_json_string(use_diff=False)), *MORE]
OURS = ("_name_or_path", "transformers_version", "chunk_size_feed_forward")


@pytest.fixture
def folder(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["bert"], tmp_path / "bert"))


@pytest.mark.parametrize("field", [field for field in dict.fromkeys(FIELDS) if field not in OURS])
def test_any_value_is_loaded_or_refused(field: str, folder: Path) -> None:
    whole = json.loads((folder / "config.json").read_text())
    encoder = EncoderConfig(name=str(folder), max_length=20)
    for value in VALUES:
        changed: dict[str, Any] = {**whole, field: value}
        if value is DROPPED:
            del changed[field]
        (folder / "config.json").write_text(json.dumps(changed))
        try:
            shape = describe_encoder(encoder)
            loaded = load_encoder(encoder)
        except UserError as refused:
            assert refused.problem and refused.remedy  # noqa: PT017 (or it is loaded)
            continue
        assert (loaded.num_layers, loaded.hidden_size) == (shape.num_layers, shape.hidden_size)
        assert loaded.seen == ()
        loaded.build()
