from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from tuner.errors import UserError
from tuner.model.classifier import PairClassifier
from tuner.model.encoder import PretrainedEncoder
from tuner.model.fusion import build_fusion
from tuner.study.trial import FusionConfig, HeadConfig

HIDDEN = 8
FUSED = {
    "sum": FusionConfig(kind="sum", layer=1),
    "concat": FusionConfig(kind="concat", layer=1),
    "multiply": FusionConfig(kind="dlfa", layer=1),
    "select": FusionConfig(kind="dlfa", layer=1, mode="select"),
}


def randomised(config: FusionConfig) -> torch.nn.Module:
    """A fusion with no weight at a value that could hide a mistake (LayerNorms too)."""
    torch.manual_seed(0)
    fusion = build_fusion(config, HIDDEN, num_layers=3).double()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter)
    return fusion


def states(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    last, lower = random.normal(size=(2, 3, 5, HIDDEN))
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    return last, lower, mask


def norm(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]


def branch(u: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    narrow = np.einsum("...e,ce->...c", u, w[f"{name}.0.weight"]) + w[f"{name}.0.bias"]
    active = np.maximum(norm(narrow, w, f"{name}.1"), 0)
    wide = np.einsum("...c,ec->...e", active, w[f"{name}.3.weight"]) + w[f"{name}.3.bias"]
    return norm(wide, w, f"{name}.4")


@pytest.mark.parametrize("reduction", [1, 2, 3])
@pytest.mark.parametrize("mode", ["multiply", "select"])
def test_dlfa_is_as_defined(mode: Literal["multiply", "select"], reduction: int) -> None:
    fusion = randomised(FusionConfig(kind="dlfa", layer=1, mode=mode, reduction=reduction))
    last, lower, mask = states()
    fused = fusion(torch.tensor(last), torch.tensor(lower), torch.tensor(mask)).detach().numpy()

    w = {name: tensor.numpy() for name, tensor in fusion.state_dict().items()}
    assert w["attention.local_branch.0.weight"].shape == (HIDDEN // reduction, HIDDEN)
    for pair, unmasked in enumerate((5, 3, 1)):
        x, y = last[pair], lower[pair]
        total = x + y
        mean = total[:unmasked].mean(axis=0)
        logits = branch(total, w, "attention.local_branch")
        logits = logits + branch(mean, w, "attention.global_branch")
        m = 1 / (1 + np.exp(-logits))
        expected = total * m if mode == "multiply" else x * m + y * (1 - m)
        assert np.allclose(fused[pair], expected, rtol=0, atol=1e-10)


def test_last_is_the_last_layer() -> None:
    last, _, mask = map(torch.tensor, states())
    fusion = build_fusion(FusionConfig(), HIDDEN, num_layers=3)
    assert fusion(last, None, mask) is last
    assert not list(fusion.parameters())


def test_sum_adds_the_layers() -> None:
    last, lower, mask = states()
    fusion = randomised(FUSED["sum"])
    fused = fusion(torch.tensor(last), torch.tensor(lower), torch.tensor(mask)).numpy()
    assert np.array_equal(fused, last + lower)
    assert not list(fusion.parameters())


def test_concat_projects_both_layers_back() -> None:
    last, lower, mask = states()
    fusion = randomised(FUSED["concat"])
    fused = fusion(torch.tensor(last), torch.tensor(lower), torch.tensor(mask)).detach().numpy()
    weight, bias = (parameter.detach().numpy() for parameter in fusion.parameters())
    assert weight.shape == (HIDDEN, 2 * HIDDEN)
    of_last, of_lower = weight[:, :HIDDEN], weight[:, HIDDEN:]
    for pair, token in np.ndindex(3, 5):
        expected = of_last @ last[pair, token] + of_lower @ lower[pair, token] + bias
        assert np.allclose(fused[pair, token], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("config", FUSED.values(), ids=FUSED)
def test_the_lower_layer_learns(config: FusionConfig) -> None:
    """Its gradient is that of finite differences, and nowhere zero at a token that is read."""
    fusion = randomised(config)
    last, lower, mask = map(torch.tensor, states())
    lower.requires_grad_()
    probe = torch.randn(last.shape, dtype=last.dtype, generator=torch.Generator().manual_seed(0))
    (fusion(last, lower, mask) * probe).sum().backward()
    assert lower.grad is not None and bool((lower.grad[:, 0] != 0).all())
    step = torch.zeros_like(last)
    step[0, 0, 3] = 1e-6
    with torch.no_grad():
        up, down = (((fusion(last, lower + s, mask)) * probe).sum() for s in (step, -step))
    assert lower.grad[0, 0, 3].item() == pytest.approx(((up - down) / 2e-6).item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["sum", "concat"])
def test_new_weights_of_the_controls(kind: str, encoders: dict[str, PretrainedEncoder]) -> None:
    """concat's projection is new: trained as such, and drawn as BERT draws its own."""
    hidden = encoders["bert"].hidden_size
    first, second = (
        PairClassifier(encoders["bert"], FUSED[kind], HeadConfig(), seed=seed) for seed in (1, 2)
    )
    new = first.new_parameters()
    names = {name for name, parameter in first.named_parameters() if parameter in new}
    projection = (
        {"fusion.projection.weight", "fusion.projection.bias"} if kind == "concat" else set()
    )
    assert names == {"head.weight", "head.bias"} | projection
    if kind == "concat":
        weight = first.fusion.get_parameter("projection.weight")
        assert weight.shape == (hidden, 2 * hidden)
        assert weight.std().item() == pytest.approx(0.02, rel=0.15)
        assert bool((first.fusion.get_parameter("projection.bias") == 0).all())
        assert not torch.equal(weight, second.fusion.get_parameter("projection.weight"))


@pytest.mark.parametrize("config", FUSED.values(), ids=FUSED)
def test_neither_masked_tokens_nor_other_pairs_influence_a_pair(config: FusionConfig) -> None:
    fusion = randomised(config)
    last, lower, mask = map(torch.tensor, states())
    changed = [torch.where(mask[:, :, None] == 1, state, 1e4) for state in (last, lower)]
    unmasked = mask == 1

    fused = fusion(last, lower, mask)

    assert torch.equal(fused[unmasked], fusion(*changed, mask)[unmasked])
    alone = fusion(last[1:2], lower[1:2], mask[1:2])
    assert torch.allclose(fused[1:2], alone, rtol=0, atol=1e-12)


def test_layers_below_the_last_are_allowed() -> None:
    for layer in range(3):
        build_fusion(FusionConfig(kind="dlfa", layer=layer), HIDDEN, num_layers=3)
    for kind in ("sum", "concat", "dlfa"):
        with pytest.raises(UserError, match=r"be 0 \.\.\. 2 for an encoder of 3 layers, got 3"):
            build_fusion(FusionConfig(kind=kind, layer=3), HIDDEN, num_layers=3)


def test_reduction_leaves_a_channel() -> None:
    build_fusion(FusionConfig(kind="dlfa", layer=1, reduction=8), HIDDEN, num_layers=3)
    with pytest.raises(UserError, match="at most the encoder's hidden size 8, got 9"):
        build_fusion(FusionConfig(kind="dlfa", layer=1, reduction=9), HIDDEN, num_layers=3)
