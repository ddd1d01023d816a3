"""Dropout by 16 bits: the distribution of torch's, from torch's generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tuner.model.dropout import Dropout, dropout, replace_dropout


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_value_goes_with_probability_p(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    size = 200_003  # not a multiple of four
    dropped = dropout(torch.ones(size, dtype=dtype), p)
    kept = dropped != 0
    deviation = (p * (1 - p) / size) ** 0.5
    assert abs(float(kept.double().mean()) - (1 - p)) < 5 * deviation + 2**-17
    expected = torch.tensor(1 / (1 - p), dtype=dtype)
    assert torch.allclose(dropped[kept], expected, rtol=2**-13)
    pairs = kept[:-1] & kept[1:]
    independent = (1 - p) ** 2
    scatter = (independent * (1 - independent) / size) ** 0.5
    assert abs(float(pairs.double().mean()) - independent) < 8 * scatter, "neighbours, of one draw"


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 0), (2, 4, 8)])
def test_the_gradient_is_of_what_was_kept(shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    result = dropout(values, 0.4)
    result.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values, result)


def test_it_is_a_function_of_the_generators_state() -> None:
    values = torch.ones(1000)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(dropout(values, 0.5))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_nothing_and_everything() -> None:
    values = torch.randn(1000)
    assert torch.equal(dropout(values, 0.0), values)
    assert not dropout(values, 1.0).any()


def test_a_module_is_given_it_in_place_of_torchs() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.3)), nn.Dropout(0.2))
    replace_dropout(module)
    assert [each.p for each in module.modules() if isinstance(each, Dropout)] == [0.3, 0.2]
    values = torch.ones(50, 2)
    assert (module.train()[2](values) == 0).any()
    assert torch.equal(module.eval()[2](values), values)
