"""Answers that several tests of this room share."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import Any

from tuner.scaling.findings import main_findings
from tuner.scaling.model import Effect
from tuner.scaling.result import Scaled
from tuner.study.trial import TrialConfig

SMALL: dict[str, Any] = {
    "space": {"batch.effective_size": [16, 64], "mix.cross_lingual": [0.0, 1.0]},
    "design__tuning": {"lr": [1e-4, 1e-3, 1e-2], "seeds": [9], "at": {"mix.cross_lingual": 1.0}},
}
"""Six tuning trials; trials 6 to 17: four cells with seeds 1, 2, 3, a seed at a time."""


def planted(config: TrialConfig, language: str) -> float:
    """In es and ja 5 points from β 0 to 1, 2 a doubling of B, 3 of k; in en and de −4 of β."""
    if config.seed >= 8:
        return 0.9 if config.optim.lr == 1e-3 else 0.6
    if language in ("en", "de"):
        return 0.85 - 0.04 * config.mix.cross_lingual
    gained = 0.05 * config.mix.cross_lingual + 0.02 * log2(config.batch.effective_size / 16)
    gained += 0.03 * (config.fusion.kind == "dlfa")
    return 0.60 + gained + (0.1 if language == "es" else 0.0)


def said(result: Scaled, *effects: Effect, **changes: object) -> str:
    """Return the findings where the fit of the targets has these effects."""
    fit = replace(result.fits["targets"], effects=effects, **changes)  # type: ignore[arg-type]
    return " ".join(main_findings(replace(result, fits={"targets": fit}), "targets"))
