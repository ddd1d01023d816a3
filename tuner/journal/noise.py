"""The gradient's noise, as it is kept: a diagnostic of a trial at a rung."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class NoiseRecord(BaseModel):
    """The gradient's noise in batches of one kind: a diagnostic, not a critical batch size.

    The variance of the gradient of B pairs of one language (or ordered pair of languages) is
    estimated as within / B + between. Squared norms of gradients over all parameters, with dropout
    off; `tuner.training.noise` says how. The three estimates are unbiased, and so may be negative
    where the true value is small.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    within: float = Field(description="variance of one pair's gradient, its languages given")
    between: float | None = Field(
        description="variance of the mean gradient over languages, or ordered pairs of them; None "
        "where there is one"
    )
    mean_gradient_squared: float = Field(description="squared norm of the mean over languages")
    groups: int = Field(description="languages, or ordered pairs of them")
    small: int = Field(description="pairs of the smaller batches that were compared")
    large: int = Field(description="pairs of the larger ones: of each group, all its pairs")
    pairs: int = Field(description="pairs used, of all groups together")

    @property
    def equal_parts_size(self) -> float | None:
        """The B at which both parts are equal: within / between; None where it is not positive."""
        return _positive_ratio(self.within, self.between)

    @property
    def simple_noise_scale(self) -> float | None:
        """tr(Σ) / |G|² of arXiv 1812.06162, in pairs; None where it is not positive.

        Σ is of a pair whose languages are drawn too: within + between.
        """
        return _positive_ratio(self.within + (self.between or 0.0), self.mean_gradient_squared)

    @classmethod
    def averaged(cls, records: Sequence[Self]) -> Self:
        """Of several draws (rungs, seeds, trials): means of the estimates, for ratios of means.

        Args:
            records: of one kind, number of groups and batch sizes; one at least.
        """
        first = records[0]
        assert len({(record.groups, record.small, record.large) for record in records}) == 1
        between = [record.between for record in records if record.between is not None]
        return first.model_copy(
            update={
                "within": fmean(record.within for record in records),
                "between": fmean(between) if between else None,
                "mean_gradient_squared": fmean(r.mean_gradient_squared for r in records),
                "pairs": sum(record.pairs for record in records),
            }
        )

    def metrics(self) -> dict[str, float]:
        """By name; what is undefined is absent."""
        named = {
            "within": self.within,
            "between": self.between,
            "mean_gradient_squared": self.mean_gradient_squared,
            "equal_parts_size": self.equal_parts_size,
            "simple_noise_scale": self.simple_noise_scale,
            "pairs": float(self.pairs),
        }
        return {name: value for name, value in named.items() if value is not None}


def _positive_ratio(numerator: float, denominator: float | None) -> float | None:
    if denominator is None or denominator <= 0 or numerator <= 0:
        return None
    ratio = numerator / denominator
    return ratio if isfinite(ratio) else None
