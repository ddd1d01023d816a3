from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch

from tuner.config import FusionConfig
from tuner.errors import UserError
from tuner.model.fusion import build_fusion

HIDDEN = 8


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


@pytest.mark.parametrize("mode", ["multiply", "select"])
def test_neither_masked_tokens_nor_other_pairs_influence_a_pair(mode: Any) -> None:
    fusion = randomised(FusionConfig(kind="dlfa", layer=1, mode=mode))
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
    with pytest.raises(UserError, match=r"must be 0 \.\.\. 2 for an encoder of 3 layers, got 3"):
        build_fusion(FusionConfig(kind="dlfa", layer=3), HIDDEN, num_layers=3)


def test_reduction_leaves_a_channel() -> None:
    build_fusion(FusionConfig(kind="dlfa", layer=1, reduction=8), HIDDEN, num_layers=3)
    with pytest.raises(UserError, match="at most the encoder's hidden size 8, got 9"):
        build_fusion(FusionConfig(kind="dlfa", layer=1, reduction=9), HIDDEN, num_layers=3)
