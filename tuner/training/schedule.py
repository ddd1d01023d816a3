"""The learning rate over a trial, as a function of the pairs seen."""

from __future__ import annotations

from tuner.study.trial import OptimConfig


def lr_multiplier(optim: OptimConfig, pairs_seen: int, full_budget: int) -> float:
    """Return the factor of the peak learning rate in a step, 0 to 1.

    It rises linearly from 0 over the first `warmup_ratio` of the budget, then falls linearly to 0
    at its end, or stays at 1. If effective batches divide warm-up and budget, the linear schedule
    equals `transformers.get_linear_schedule_with_warmup` at every step.

    Args:
        optim: the settings of warm-up and schedule.
        pairs_seen: pairs consumed before the step.
        full_budget: pairs of the whole trial, the horizon even if the trial is stopped earlier.
    """
    warmup = optim.warmup_ratio * full_budget
    if pairs_seen < warmup:
        return pairs_seen / warmup
    if optim.schedule == "constant":
        return 1.0
    return max(0.0, (full_budget - pairs_seen) / (full_budget - warmup))
