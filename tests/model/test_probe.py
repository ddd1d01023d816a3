"""Encoders tried on a few pairs: what is refused, what is not, and that nothing is silently off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model.architectures import data, saved, study
from tests.model.examples import prepared
from tests.tracking.examples import Told
from tuner.errors import UserError
from tuner.model import configuration
from tuner.model import encoder as encoder_module
from tuner.model import probe as probe_module
from tuner.model.classifier import PairClassifier
from tuner.model.packing import BlockEncoder
from tuner.run.prepare import prepare

pytestmark = pytest.mark.usefixtures("no_cache")


MIXES = "depends on the padding or on the pairs beside it"


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a configuration tells: the encoder itself has to show it."""
    for module in (configuration, encoder_module):
        monkeypatch.setattr(module, "check_architecture", lambda config, name: None)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fnet", MIXES),
        ("yoso", MIXES),
        ("nystromformer", MIXES),
        ("big_bird", MIXES),
        ("mobilebert", MIXES),
        ("bert, is_decoder", "does not see the tokens after it"),
        ("xlm-roberta, is_decoder", "does not see the tokens after it"),
        ("reformer", "differs from run to run"),
    ],
)
def test_what_trains_otherwise_than_alone_is_refused(
    name: str, told: str, tmp_path: Path, pairs: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=f"cannot be trained here: it.*{told}"):
        prepared(name, tmp_path, pairs)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fnet", MIXES),
        ("big_bird", r'(?s)block-sparse.*"attention_type" to "original_full"'),
        ("bert, is_decoder", r'(?s)"is_decoder": true.*set "is_decoder" to false'),
        ("xlm-roberta, is_decoder", r'(?s)"is_decoder": true.*set "is_decoder" to false'),
        ("canine", "reads characters"),
        ("xlnet", "in any order"),
    ],
)
def test_the_configuration_alone_tells_it_too(
    name: str, told: str, tmp_path: Path, pairs: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=told):
        prepared(name, tmp_path, pairs)


def test_layers_that_are_numbered_otherwise_are_not_fused(
    tmp_path: Path, pairs: dict[str, Any]
) -> None:
    inputs = prepared("albert, inner_group_num 2", tmp_path, pairs)
    assert inputs.encoder.num_layers == 2
    with pytest.raises(UserError, match="5 hidden states for 2 layers"):
        prepare(study(tmp_path, pairs, **{"fusion.kind": "sum", "fusion.layer": 1}), Told())


@pytest.mark.parametrize("lower", [lambda state: state[..., 1:], lambda state: state[:, 1:]])
def test_layers_whose_states_have_another_shape_are_not_fused(
    lower: Any, tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest has fewer channels, or fewer tokens, than the last."""
    run = probe_module._run

    def smaller(*arguments: Any) -> Any:
        found = run(*arguments)
        first, *others = found.states
        return replace(found, states=[lower(first), *others])

    monkeypatch.setattr(probe_module, "_run", smaller)
    prepared("bert", tmp_path, pairs)
    with pytest.raises(UserError, match="cannot be fused: its hidden states differ in shape"):
        prepare(study(tmp_path, pairs, **{"fusion.kind": "sum", "fusion.layer": 1}), Told())


def test_a_last_state_of_another_shape_is_refused(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = probe_module._run

    def shorter(*arguments: Any) -> Any:
        found = run(*arguments)
        return replace(found, states=[state[:, 1:] for state in found.states])

    monkeypatch.setattr(probe_module, "_run", shorter)
    with pytest.raises(UserError, match=r"it gives states of shape \(1, 18, 32\) for 19 tokens"):
        prepared("bert", tmp_path, pairs)


def test_logits_of_another_shape_are_refused(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = PairClassifier.forward
    monkeypatch.setattr(PairClassifier, "forward", lambda *given: forward(*given)[:, :1])
    with pytest.raises(UserError, match=r"its logits have shape \(\d+, 1\), not \(\d+, 2\)"):
        prepared("bert", tmp_path, pairs)


def long_pairs(folder: Path) -> dict[str, Any]:
    """Pairs of 30 words a sentence: `max_length` truncates all of them."""
    asked = data(folder)
    for place, file in enumerate(sorted(folder.glob("*.jsonl"))):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for number, line in enumerate(lines):
            words = " ".join(f"w{(number + word * (2 * place + 1)) % 50}" for word in range(30))
            line |= {"sentence1": words, "sentence2": words}
        file.write_text("\n".join(map(json.dumps, lines)))
    return asked


@pytest.mark.parametrize("name", ["mobilebert", "bert"])
def test_padding_is_tried_also_where_all_pairs_are_truncated(name: str, tmp_path: Path) -> None:
    saved(name, tmp_path)
    asked = study(tmp_path, long_pairs(tmp_path))
    if name == "bert":
        prepare(asked, Told())
    else:
        with pytest.raises(UserError, match=MIXES):
            prepare(asked, Told())


def moved(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    """Every run and every block is off by so much, each time otherwise."""
    run, call = probe_module._run, BlockEncoder.__call__

    def off(state: torch.Tensor) -> torch.Tensor:
        return state + by * state.abs().max() * torch.rand_like(state)

    def alone(*arguments: Any) -> Any:
        found = run(*arguments)
        return replace(found, states=[off(state) for state in found.states])

    def blocks(*arguments: Any) -> Any:
        return [[off(state) for state in states] for states in call(*arguments)]

    monkeypatch.setattr(probe_module, "_run", alone)
    monkeypatch.setattr(BlockEncoder, "__call__", blocks)


def test_rounding_through_float32_is_not_mixing(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ModernBERT's rotation, ESM and EuroBERT's norms do so, also when they are run in float64."""
    moved(monkeypatch, 1e-7)
    prepared("distilbert", tmp_path, pairs)


@pytest.mark.parametrize(
    ("by", "told"), [(1e-4, "differs from run to run"), (torch.nan, "are NaN or infinite")]
)
def test_more_than_rounding_is_refused(
    by: float, told: str, tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(monkeypatch, by)
    with pytest.raises(UserError, match=told):
        prepared("distilbert", tmp_path, pairs)


@pytest.mark.parametrize("large", [probe_module.LARGE, 1000])
def test_a_first_token_that_sees_little_sees(
    large: int, tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 too, where rounding may be larger than what it sees."""
    monkeypatch.setattr(probe_module, "LARGE", large)
    saved("bert", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for name in weights:
        if name.endswith("attention.output.dense.weight"):
            weights[name] *= 1e-5
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    prepare(study(tmp_path, pairs), Told())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA error"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_memory_that_runs_out_is_told_and_not_remembered(
    error: Exception, tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(BlockEncoder, "__call__", fails)
    with pytest.raises(UserError, match=r"memory ran out while .*\nFree memory"):
        prepared("bert", tmp_path, pairs)
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_what_cannot_be_run_is_told(
    tmp_path: Path, pairs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **more: object) -> None:
        raise RuntimeError("no such kernel\nand much more")

    monkeypatch.setattr(BlockEncoder, "__call__", fails)
    with pytest.raises(UserError, match=r"cannot be run on pairs: no such kernel\n"):
        prepared("bert", tmp_path, pairs)
    assert not list((tmp_path / "cache").rglob("*.json")), "it may be another time"
