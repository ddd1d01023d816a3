"""The learning rate over a trial, as a function of the pairs seen."""

from __future__ import annotations

from tuner.study.trial import OptimConfig


def lr_multiplier(optim: OptimConfig, pairs_seen: int, full_budget: int) -> float:
    """What the peak learning rate is multiplied by in a step, 0 to 1.

    It rises linearly from 0 over the first `warmup_ratio` of the budget, then falls linearly to 0
    at its end, or stays at 1. Where effective batches divide warm-up and budget, the linear one
    equals `transformers.get_linear_schedule_with_warmup` at every step.

    Args:
        optim: warm-up and schedule.
        pairs_seen: pairs consumed before the step.
        full_budget: pairs of the whole trial, the horizon, wherever the trial is stopped.
    """
    warmup = optim.warmup_ratio * full_budget
    if pairs_seen < warmup:
        return pairs_seen / warmup
    if optim.schedule == "constant":
        return 1.0
    return max(0.0, (full_budget - pairs_seen) / (full_budget - warmup))
