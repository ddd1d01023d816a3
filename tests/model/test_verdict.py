"""Verdicts on encoders: remembered, asked for by all commands, and forgotten where they must be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from tests.model.architectures import data, saved, study
from tests.tracking.examples import Told
from tuner.doctor.head import from_files
from tuner.errors import UserError
from tuner.model import probe as probe_module
from tuner.model.shape import check_encoder
from tuner.model.verdict import Verdict, recall, remember
from tuner.run.prepare import prepare


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    logging.disable_progress_bar()
    return tmp_path / "cache"


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    saved("bert", tmp_path / "bert")
    return tmp_path / "bert"


class Tried(Exception):
    """The encoder is tried."""


def tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def tries(*arguments: object) -> NoReturn:
        raise Tried

    monkeypatch.setattr(probe_module, "probe", tries)


def test_an_encoder_is_tried_once(
    bert: Path, pairs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(study(bert, pairs), Told())
    tried_again(monkeypatch)
    prepare(study(bert, pairs), Told())
    copy = shutil.copytree(bert, tmp_path / "copy")
    prepare(study(copy, pairs), Told())  # it is the content that counts

    weights = load_file(copy / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7, 3] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Tried):
        prepare(study(copy, pairs), Told())


def test_it_is_tried_again_where_the_cache_is_damaged_or_not_to_be_written(
    bert: Path, pairs: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(study(bert, pairs), Told())
    for path in cache.rglob("*.json"):
        path.write_text('{"refused": 3}')
    prepare(study(bert, pairs), Told())
    shutil.rmtree(cache)
    cache.write_text("a file")
    prepare(study(bert, pairs), Told())
    assert cache.read_text() == "a file"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # is none, by its specification
    monkeypatch.setenv("HOME", str(bert.parent / "home"))
    prepare(study(bert, pairs), Told())
    assert list((bert.parent / "home" / ".cache" / "tuner").rglob("*.json"))


@pytest.mark.parametrize("content", ["", "[]", "null", '{"refused": ""}', "\xff"])
def test_what_is_not_a_verdict_is_none(content: str, cache: Path) -> None:
    verdict = Verdict(refused="why", packed=True)
    remember("key", verdict)
    assert recall("key") == verdict
    (path,) = cache.rglob("key.json")
    path.write_text(content, encoding="latin-1")
    assert recall("key") is None


def test_plan_and_doctor_say_what_trying_has_shown(tmp_path: Path, pairs: dict[str, Any]) -> None:
    """Its configuration does not tell: a copy of MobileBERT's padding is not zero."""
    saved("mobilebert", tmp_path)
    asked = study(tmp_path, pairs)
    check_encoder(asked)
    assert from_files(asked) == []
    with pytest.raises(UserError, match="depends on the padding") as told:
        prepare(asked, Told())
    with pytest.raises(UserError) as planned:
        check_encoder(asked)
    assert planned.value.problem == told.value.problem
    (finding,) = from_files(asked)
    assert (finding.check, finding.level) == ("encoder", "fail")
    assert told.value.problem in finding.found
    weights = load_file(tmp_path / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][0] = 0
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    check_encoder(asked)
    assert prepare(asked, Told()).inputs.encoder.num_layers == 2


def test_a_plan_knows_it_without_torch(tmp_path: Path, pairs: dict[str, Any]) -> None:
    saved("albert, inner_group_num 2", tmp_path)
    fused = {"fusion.kind": "sum", "fusion.layer": 1}
    with pytest.raises(UserError, match="5 hidden states"):
        prepare(study(tmp_path, pairs, **fused), Told())
    asked = study(tmp_path, pairs, **fused).model_dump_json()
    code = f"""
import sys
from tuner.errors import UserError
from tuner.model.shape import check_encoder
from tuner.study import StudyConfig
try:
    check_encoder(StudyConfig.model_validate_json({asked!r}))
except UserError as error:
    print(error.problem)
assert not {{'torch', 'transformers'}} & set(sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "cannot be fused: it gives 5 hidden states for 2 layers" in found.stdout


def test_large_encoders_are_tried_in_float32(
    bert: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    run = probe_module._run

    def watched(model: Any, *arguments: Any) -> Any:
        seen.add(next(model.parameters()).dtype)
        return run(model, *arguments)

    monkeypatch.setattr(probe_module, "_run", watched)
    monkeypatch.setattr(probe_module, "LARGE", 1000)
    prepare(study(bert, pairs), Told())
    assert seen == {torch.float32}
