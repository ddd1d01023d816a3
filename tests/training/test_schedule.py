from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

from tuner.study.trial import OptimConfig
from tuner.training.schedule import lr_multiplier


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize(("warmup_ratio", "warmup_steps"), [(0.0, 0), (0.1, 5), (0.5, 25)])
@pytest.mark.parametrize("size", [1, 7, 32])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_equals_transformers(
    schedule: Any, size: int, warmup_ratio: float, warmup_steps: int
) -> None:
    steps = 50
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    if schedule == "linear":
        theirs = get_linear_schedule_with_warmup(optimizer, warmup_steps, steps)
    else:
        theirs = get_constant_schedule_with_warmup(optimizer, warmup_steps)
    optim = OptimConfig(schedule=schedule, warmup_ratio=warmup_ratio)

    for step in range(steps):
        ours = lr_multiplier(optim, step * size, steps * size)
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        theirs.step()


@given(
    schedule=st.sampled_from(["linear", "constant"]),
    warmup_ratio=st.floats(0, 0.99),
    pairs_seen=st.integers(0, 10_000),
    full_budget=st.integers(1, 5_000),
)
def test_is_between_0_and_1(
    schedule: Any, warmup_ratio: float, pairs_seen: int, full_budget: int
) -> None:
    optim = OptimConfig(schedule=schedule, warmup_ratio=warmup_ratio)
    multiplier = lr_multiplier(optim, pairs_seen, full_budget)
    assert 0 <= multiplier <= 1
    if schedule == "linear" and pairs_seen >= full_budget:
        assert multiplier == 0
